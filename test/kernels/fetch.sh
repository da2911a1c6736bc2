#!/bin/bash
# fetch.sh SERIES: brings Debian's newest stock kernel of a series (5.10, 6.1 …) into the cache and prints its folder.
# apt gets lists of its own there, from the mirror that /etc/apt names: the machine's package state is not touched.
# The lists are read anew once a day; without a network, what is in the cache is used.
set -euo pipefail
series=$1
cache=${KMESH_KERNEL_CACHE:-$HOME/.cache/kmesh-kernels}
suites="bullseye bookworm bookworm-backports trixie trixie-backports"
security_suites="bullseye-security bookworm-security trixie-security"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

mkdir -p "$cache"/{lists/partial,archives/partial,kernels}
exec 9>"$cache/lock"
flock 9

options=(
	-q -o "Dir::Etc::sourcelist=$cache/sources.list" -o Dir::Etc::sourceparts=/dev/null
	-o "Dir::State::lists=$cache/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$cache"
	-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
	-o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false
	-o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::=
)

# The first web address in /etc/apt whose path ends in /$1.
mirror() {
	grep -rhv '^ *#' /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/mirrors 2>/dev/null |
		grep -oE "https?://[^ ]+/$1/?( |$)" | head -1 | sed 's|[/ ]*$||'
}

read_lists() {
	local main security suite
	main=$(mirror debian || true)
	security=$(mirror debian-security || true)
	main=${main:-http://deb.debian.org/debian}
	for suite in $suites; do
		echo "deb [signed-by=$keyring] $main $suite main"
	done >"$cache/sources.list"
	for suite in $security_suites; do
		echo "deb [signed-by=$keyring] ${security:-$main-security} $suite main"
	done >>"$cache/sources.list"
	echo "  LISTS    $main" >&2
	# A suite that has left the mirror is a warning here; it matters when no kernel is found.
	apt-get "${options[@]}" update >"$cache/update.log" 2>&1 && touch "$cache/updated" ||
		echo "  LISTS    not all could be read, see $cache/update.log" >&2
}

[ -n "$(find "$cache" -maxdepth 1 -name updated -mtime -1)" ] || read_lists

# The ordinary flavour: -cloud has no 9p.
image=$(apt-cache "${options[@]}" pkgnames "linux-image-$series." |
	grep -E '^linux-image-[0-9.]+([-+][^-]*)?-amd64$' | sort -V | tail -1 || true)
if [ -z "$image" ]; then
	cached=$(find "$cache/kernels" -mindepth 1 -maxdepth 1 -name "$series.*" ! -name '*.part' | sort -V | tail -1)
	[ -n "$cached" ] || { echo "no package linux-image-$series.*-amd64 in: $suites" >&2 && exit 1; }
	echo "$cached"
	exit
fi

version=${image#linux-image-}
kernel=$cache/kernels/${version%-amd64}
if [ ! -d "$kernel" ]; then
	# From 7.0 on, linux-image depends on two packages that hold the files.
	readarray -t packages < <(apt-cache "${options[@]}" pkgnames |
		grep -xF -e "$image" -e "linux-binary-$version" -e "linux-modules-$version")
	echo "  FETCH    ${packages[*]}" >&2
	rm -rf "$kernel.part"
	mkdir "$kernel.part"
	(cd "$kernel.part" && apt-get "${options[@]}" download "${packages[@]}" >&2)
	for deb in "$kernel.part"/*.deb; do
		dpkg-deb -x "$deb" "$kernel.part"
		rm "$deb"
	done
	[ -e "$kernel.part/lib" ] || ln -s usr/lib "$kernel.part/lib"
	depmod -b "$kernel.part" "$(ls "$kernel.part/lib/modules")"
	find "$cache/kernels" -mindepth 1 -maxdepth 1 -name "$series.*" ! -path "$kernel.part" -exec rm -rf {} +
	mv "$kernel.part" "$kernel"
fi
echo "$kernel"
