#!/bin/bash
# Builds a real Kubernetes API server and its etcd, as one program, and fetches the CRDs of the Gateway API and of Istio: all
# by the Go module proxy, into a cache outside the checkout. What is there already is left alone.
# Cost, once: some 15 minutes of one CPU (12.5 were seen, GOMAXPROCS=1 beside other work), 110 MB here, 3 GB in Go's own
# caches of modules and builds, which may be deleted afterwards.
set -euo pipefail

cache=${KMESH_LAB_CACHE:-$HOME/.cache/k8s-lab}
kubernetes=1.35.4
gateway=v1.6.3
istio=v1.31.4

PATH=$PATH:/usr/local/go/bin
bin=$cache/bin
crds=$cache/crds
mkdir -p "$bin" "$crds"
# shellcheck source=test/lab/go-modules.sh
. "$(dirname "$0")/../go-modules.sh"

if [ ! -x "$bin/kube-apiserver" ] || [ ! -x "$bin/etcd" ]; then
	echo "building kube-apiserver $kubernetes and etcd into $bin: some 15 minutes of one CPU"
	source=$cache/src/control-plane
	mkdir -p "$source"
	cp "$(dirname "$0")/main.go" "$source/main.go"
	cd "$source"
	kubernetes_module controlplane "$kubernetes"
	# Not under the name that is looked for until it is whole.
	CGO_ENABLED=0 go build -mod=mod -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$kubernetes" -o "$bin/.control-plane" .
	mv "$bin/.control-plane" "$bin/control-plane"
	ln -sf control-plane "$bin/kube-apiserver"
	ln -sf control-plane "$bin/etcd"
fi

if [ ! -e "$crds/istio.yaml" ] || [ ! -e "$crds/gateway.networking.k8s.io_grpcroutes.yaml" ]; then
	install -m 644 "$(module_directory sigs.k8s.io/gateway-api "$gateway")"/config/crd/standard/*_{httproutes,grpcroutes,referencegrants}.yaml "$crds"
	install -m 644 "$(module_directory istio.io/api "$istio")/kubernetes/customresourcedefinitions.gen.yaml" "$crds/istio.yaml"
fi
echo "$cache has kube-apiserver, etcd and CRDs"
