# shellcheck shell=bash
# For the labs' build scripts, which source it: what they need of the Go module proxy. $cache is a directory outside of any module.

module_directory() { # MODULE VERSION: prints where it is, and downloads it if it must
	(cd "$cache" && go mod download -json "$1@$2" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
}

kubernetes_module() { # NAME VERSION: makes the current directory a module that has Kubernetes and its etcd
	local directory
	directory=$(module_directory k8s.io/kubernetes "v$2")
	{
		echo "module $1"
		grep -E '^go [0-9]' "$directory/go.mod"
		echo "require k8s.io/kubernetes v$2"
		# The version of etcd that this Kubernetes is tested with.
		awk '$1 == "go.etcd.io/etcd/server/v3" { print "require", $1, $2 }' "$directory/go.mod"
		# Kubernetes keeps some of its modules in its own tree; the proxy has each under its own name.
		echo "replace ("
		awk -v version="v0.${2#1.}" '$2 == "=>" && $3 ~ /^\.\/staging/ { print "\t" $1 " => " $1 " " version }' "$directory/go.mod"
		echo ")"
	} >go.mod
	cp "$directory/go.sum" go.sum
}
