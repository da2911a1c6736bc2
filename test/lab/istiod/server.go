package main

import (
	"net"
	"reflect"
	"time"
	"unsafe"

	"istio.io/istio/pilot/pkg/bootstrap"
	"istio.io/istio/pkg/kube"
)

type serverOptions struct {
	// In place of the one that istiod would make from a kubeconfig; nil: it makes one.
	client                 kube.Client
	kubeconfig, mesh, host string
}

func startServer(options serverOptions, stop chan struct{}) (*bootstrap.Server, error) {
	at := func(port string) string { return net.JoinHostPort(options.host, port) }
	arguments := bootstrap.NewPilotArgs(func(a *bootstrap.PilotArgs) {
		a.Namespace = "istio-system"
		a.PodName = "istiod"
		a.MeshConfigFile = options.mesh
		a.RegistryOptions.KubeConfig = options.kubeconfig
		a.ShutdownDuration = 100 * time.Millisecond
		a.RegistryOptions.Registries = []string{"Kubernetes"}
		a.RegistryOptions.KubeOptions.DomainSuffix = "cluster.local"
		a.RegistryOptions.KubeOptions.ClusterID = "Kubernetes"
		a.ServerOptions.TLSOptions.TLSMinVersion = bootstrap.TLSMinVersion1_2
		a.ServerOptions.HTTPAddr = at("8080")
		a.ServerOptions.HTTPSAddr = at("15017")
		a.ServerOptions.GRPCAddr = at("15010")
		a.ServerOptions.SecureGRPCAddr = at("15012")
		a.ServerOptions.MonitoringAddr = at("15014")
	})
	if err := arguments.Complete(); err != nil {
		return nil, err
	}
	server, err := bootstrap.NewServer(arguments, func(s *bootstrap.Server) {
		if options.client == nil {
			return
		}
		// The field is not exported; a client that is there already is kept.
		field := reflect.ValueOf(s).Elem().FieldByName("kubeClient")
		reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(options.client))
	})
	if err != nil {
		return nil, err
	}
	return server, server.Start(stop)
}
