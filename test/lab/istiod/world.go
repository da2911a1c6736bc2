package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
)

type key struct {
	resource        schema.GroupVersionResource
	namespace, name string
}

type object struct {
	text  string
	value runtime.Object
}

// world is the API server in memory, and what the files said last.
type world struct {
	client  kube.CLIClient
	objects map[key]object
}

func newWorld() *world {
	client := kube.NewFakeClient()
	definitions := client.Metadata().(*fake.FakeMetadataClient).Resource(gvr.CustomResourceDefinition).(fake.MetadataClient)
	// istiod only watches kinds that it sees a definition of.
	for _, kind := range collections.All.All() {
		if kind.IsBuiltin() {
			continue
		}
		resource := kind.GroupVersionResource()
		definition := metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name:        resource.Resource + "." + resource.Group,
			Annotations: map[string]string{"gateway.networking.k8s.io/bundle-version": "v1.6.0"},
		}}
		if _, err := definitions.CreateFake(&definition, metav1.CreateOptions{}); err != nil {
			log.Fatal(err)
		}
	}
	return &world{client: client, objects: map[key]object{}}
}

// read takes over what changed in the directory, all of it or nothing.
func (w *world) read(directory string) error {
	paths, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	if err != nil {
		return err
	}
	next := map[key]object{}
	for _, path := range paths {
		if err := readFile(path, next); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	w.apply(next)
	return nil
}

func readFile(path string, into map[key]object) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	reader := documents.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// The decoder would take YAML that begins with a brace for JSON.
		json, err := yaml.YAMLToJSON(document)
		if err != nil {
			return err
		}
		if len(json) == 0 || string(json) == "null" {
			continue
		}
		value, kind, err := kube.IstioCodec.UniversalDeserializer().Decode(json, nil, nil)
		if err != nil {
			return err
		}
		resource, known := gvk.ToGVR(config.FromKubernetesGVK(*kind))
		if !known {
			return fmt.Errorf("no kind %v", kind)
		}
		if resource.Group == "core" {
			resource.Group = ""
		}
		meta := value.(metav1.ObjectMetaAccessor).GetObjectMeta()
		if created := meta.GetCreationTimestamp(); created.IsZero() {
			meta.SetCreationTimestamp(metav1.NewTime(time.Unix(1_700_000_000, 0)))
		}
		into[key{resource, meta.GetNamespace(), meta.GetName()}] = object{string(document), value}
	}
}

func (w *world) apply(next map[key]object) {
	for k, o := range next {
		old, had := w.objects[k]
		if had && old.text == o.text {
			continue
		}
		tracker, copied := w.tracker(k), o.value.DeepCopyObject()
		if had {
			report(k, tracker.Update(k.resource, copied, k.namespace))
		} else {
			report(k, tracker.Create(k.resource, copied, k.namespace))
		}
	}
	for k := range w.objects {
		if _, stays := next[k]; !stays {
			report(k, w.tracker(k).Delete(k.resource, k.namespace, k.name))
		}
	}
	w.objects = next
}

func report(k key, err error) {
	if err != nil {
		log.Printf("%s %s/%s: %v", k.resource.Resource, k.namespace, k.name, err)
	}
}

func (w *world) tracker(k key) testing.ObjectTracker {
	var clientset any = w.client.Kube()
	if strings.HasSuffix(k.resource.Group, "istio.io") {
		clientset = w.client.Istio()
	} else if strings.HasPrefix(k.resource.Group, "gateway.networking.") {
		clientset = w.client.GatewayAPI()
	}
	return clientset.(interface{ Tracker() testing.ObjectTracker }).Tracker()
}
