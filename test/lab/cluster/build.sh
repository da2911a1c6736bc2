#!/bin/bash
# Builds what a cluster of two nodes is made of, by the Go module proxy, into a cache outside the checkout: Kubernetes and etcd
# as one program, Helm, images of pause, CoreDNS and the tests' own pod, and the CRDs. What is there already is left alone.
# Cost, once: some 25 minutes of one CPU, 400 MB here, 5 GB in Go's own caches, which may be deleted afterwards.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
cache=${KMESH_CLUSTER_CACHE:-$HOME/.cache/kmesh-cluster}
kubernetes=1.35.4
gateway=v1.6.3
istio=v1.31.4
helm=v3.22.0
istiod=v0.0.0-20260827124520-eed52ebb66ad
coredns=v1.14.7

PATH=$PATH:/usr/local/go/bin
export CGO_ENABLED=0
mkdir -p "$cache"/{bin,images,crds,src}
# shellcheck source=test/lab/go-modules.sh
. "$here/../go-modules.sh"

packages=(containerd runc containernetworking-plugins conntrack ipset ethtool socat iptables nftables iproute2 openssl)
missing=()
for package in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "  APT      ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

build() { # OUT: not under the name that is looked for until it is whole
	go build -mod=mod -ldflags "-s -w ${2:-}" -o "$1.part" .
	mv "$1.part" "$1"
}

if [ ! -x "$cache/bin/hyperkube" ]; then
	echo "  GO       Kubernetes $kubernetes: some 10 minutes"
	source=$cache/src/hyperkube
	mkdir -p "$source" && cp "$here"/go/hyperkube/*.go "$source" && cd "$source"
	kubernetes_module hyperkube "$kubernetes"
	stamps=
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		stamps+=" -X $package.gitVersion=v$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=35"
	done
	build "$cache/bin/hyperkube" "$stamps"
	for name in etcd kubectl kubelet kube-{apiserver,controller-manager,scheduler,proxy}; do ln -sf hyperkube "$cache/bin/$name"; done
fi

if [ ! -x "$cache/bin/helm" ]; then
	echo "  GO       Helm $helm: some 3 minutes"
	GOBIN=$cache/bin go install -ldflags '-s -w' "helm.sh/helm/v3/cmd/helm@$helm"
fi

image_of() { # NAME TAG [PATH=]FILE…
	local name=$1
	shift
	"$("$here/../../../tools/node.sh")" "$here/images.ts" "$cache/images/$name.tar" "$@"
}
image() { # NAME TAG: builds go/NAME in the directory that the caller has made
	build "$cache/bin/$1.image"
	image_of "$1" "$2" "$cache/bin/$1.image"
	rm "$cache/bin/$1.image"
}
if [ ! -e "$cache/images/coredns.tar" ]; then
	echo "  GO       CoreDNS $coredns: some minutes"
	mkdir -p "$cache/src/coredns" && cp "$here/go/coredns/main.go" "$cache/src/coredns" && cd "$cache/src/coredns"
	printf 'module coredns\n\ngo 1.25.0\n\nrequire github.com/coredns/coredns %s\n' "$coredns" >go.mod
	image coredns localhost/coredns:1
fi
for name in pause web; do
	[ "$cache/images/$name.tar" -nt "$here/go/$name/main.go" ] && continue
	echo "  GO       $name"
	mkdir -p "$cache/src/$name" && cp "$here/go/$name/main.go" "$cache/src/$name" && cd "$cache/src/$name"
	printf 'module %s\n\ngo 1.21\n' "$name" >go.mod
	image "$name" "localhost/$name:1"
done

# The Gateway API's own tests, and the servers and clients that they bring up.
suite=$cache/src/conformance
if [ ! -x "$cache/bin/gwconf.test" ] || [ ! -e "$cache/images/echo-basic.tar" ]; then
	echo "  GO       the Gateway API's conformance suite $gateway: some minutes"
	mkdir -p "$suite" && cp "$here/go/conformance/conformance_test.go" "$suite" && cd "$suite"
	printf 'module conformance\n\ngo 1.26.0\n\n' >go.mod
	printf 'require sigs.k8s.io/%s %s\n' gateway-api "$gateway" gateway-api/conformance "$gateway" >>go.mod
	go test -mod=mod -ldflags '-s -w' -c -o "$cache/bin/gwconf.test.part" .
	mv "$cache/bin/gwconf.test.part" "$cache/bin/gwconf.test"
	go build -mod=mod -ldflags '-s -w' -o "$cache/bin/echo-basic.image" sigs.k8s.io/gateway-api/conformance/echo-basic
	image_of echo-basic registry.k8s.io/gateway-api/echo-basic:v1.5.1 "/echo-basic=$cache/bin/echo-basic.image"
	rm "$cache/bin/echo-basic.image"
fi
if [ ! -e "$cache/images/echo-advanced.tar" ]; then
	echo "  GO       Istio's echo, which the suite calls echo-advanced: some minutes"
	mkdir -p "$cache/src/echo" && cd "$cache/src/echo"
	module=$(module_directory istio.io/istio "$istiod")
	{
		printf 'module echo\n\ngo 1.26.0\n\nrequire istio.io/istio %s\n' "$istiod"
		sed -n '/^replace/,$p' "$module/go.mod"
	} >go.mod
	cp "$module/go.sum" go.sum
	for name in client server; do
		go build -mod=mod -ldflags '-s -w' -o "$cache/bin/$name.image" "istio.io/istio/pkg/test/echo/cmd/$name"
	done
	openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=echo -addext subjectAltName=DNS:echo \
		-keyout "$cache/bin/cert.key" -out "$cache/bin/cert.crt" 2>/dev/null
	image_of echo-advanced registry.k8s.io/gateway-api/echo-advanced:v1.5.1 \
		"/usr/local/bin/server=$cache/bin/server.image" "/usr/local/bin/client=$cache/bin/client.image" \
		"/cert.crt=$cache/bin/cert.crt" "/cert.key=$cache/bin/cert.key"
	rm "$cache"/bin/{client,server}.image "$cache"/bin/cert.{crt,key}
fi

if [ ! -e "$cache/crds/istio.yaml" ]; then
	echo "  CRDS     Gateway API $gateway, Istio $istio"
	install -m 644 "$(module_directory sigs.k8s.io/gateway-api "$gateway")"/config/crd/standard/*.yaml "$cache/crds"
	install -m 644 "$(module_directory istio.io/api "$istio")/kubernetes/customresourcedefinitions.gen.yaml" "$cache/crds/istio.yaml"
fi
if [ ! -x "$cache/bin/pilot-discovery" ]; then
	echo "  GO       istiod: some 10 minutes"
	GOBIN=$cache/bin go install -ldflags '-s -w' "istio.io/istio/pilot/cmd/pilot-discovery@$istiod"
fi
echo "$cache has a cluster's programs and images"
