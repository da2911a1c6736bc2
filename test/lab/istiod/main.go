// istiod-lab is the real istiod for tests, without a cluster: its own server code on an API server that lives in memory and
// holds the objects of a directory of YAML files, or on a real one. `istiod-lab -dir DIR -mesh FILE [-host ADDRESS]`, or
// `-kubeconfig FILE` in place of `-dir`.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// How often the directory is looked at.
const pollEvery = 20 * time.Millisecond

// What istiod reads when its packages are initialised, so that the program has to start again with it. The writers of
// status are off, since the API server in memory replaces the whole object when a status is written.
var environment = map[string]string{
	"PILOT_ENABLE_AMBIENT":                           "true",
	"AMBIENT_ENABLE_STATUS":                          "false",
	"PILOT_ENABLE_GATEWAY_API_STATUS":                "false",
	"PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
}

const restarted = "KMESH_ISTIOD_LAB"

func main() {
	log.SetPrefix("istiod-lab: ")
	log.SetFlags(0)
	directory := flag.String("dir", ".", "directory of YAML files")
	mesh := flag.String("mesh", "", "file with the mesh configuration")
	kubeconfig := flag.String("kubeconfig", "", "how to reach a real API server")
	host := flag.String("host", "127.0.0.1", "address to listen at")
	flag.Parse()
	if os.Getenv(restarted) == "" {
		restart()
	}
	stop := make(chan struct{})
	options := serverOptions{kubeconfig: *kubeconfig, mesh: *mesh, host: *host}
	if *kubeconfig == "" {
		world := newWorld()
		if err := world.read(*directory); err != nil {
			log.Fatal(err)
		}
		options.client = world.client
		go follow(world, *directory)
	}
	server, err := startServer(options, stop)
	if err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
	close(stop)
	server.WaitUntilCompletion()
}

func follow(world *world, directory string) {
	failure := ""
	for range time.Tick(pollEvery) {
		// A file that is half written or wrong leaves what there was.
		text := ""
		if err := world.read(directory); err != nil {
			text = err.Error()
		}
		if text != failure && text != "" {
			log.Print(text)
		}
		failure = text
	}
}

func restart() {
	os.Setenv(restarted, "1")
	for name, value := range environment {
		if os.Getenv(name) == "" {
			os.Setenv(name, value)
		}
	}
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(syscall.Exec(program, os.Args, os.Environ()))
}
