//go:build metrics

package metrics

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"flink-entrypoint/test/cluster"
)

// TestOTLP sends the metrics of a real job to a receiver, over gRPC and, from 2.2 on, over HTTP. Flink 1.x has no
// such reporter.
func TestOTLP(t *testing.T) {
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		if version < "2" {
			t.Skip("Flink 1.x has no OpenTelemetry reporter")
		}
		for protocol, path := range map[string]string{"HTTP": "/v1/metrics", "gRPC": ""} {
			if protocol == "HTTP" && version < "2.2" {
				continue
			}
			t.Run(protocol, func(t *testing.T) {
				r := receive(t)
				definition := write(t, c, fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: clicks-per-minute
metrics:
  otlp: {url: "%s%s", interval: 1 s}
  labels: {team: web-shop}
sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
    CREATE TABLE nothing (n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nothing SELECT n FROM numbers;
`, r.url, path))
				start(t, c, definition)
				defer c.Close()
				poll(t, func() error {
					for _, name := range []string{"flink.jobmanager.Status.JVM.Memory.Heap.Used", "flink.jobmanager.job.numRestarts", "flink.taskmanager.job.task.numRecordsOut"} {
						labels, ok := r.metric(name)
						if !ok {
							return fmt.Errorf("%w: %s has not come", cluster.ErrNotYet, name)
						}
						for label, want := range map[string]string{"flink_job": "clicks-per-minute", "team": "web-shop", "service.name": "clicks-per-minute"} {
							if labels[label] != want {
								return fmt.Errorf("%s: label %s is %q, want %q: %v", name, label, labels[label], want, labels)
							}
						}
					}
					return nil
				})
				if got := r.protocol(); got != protocol {
					t.Errorf("it came over %s", got)
				}
			})
		}
	})
}

// A receiver takes metrics by OTLP, over HTTP and over gRPC at the same address.
type receiver struct {
	url string

	mu      sync.Mutex
	over    string
	metrics map[string]map[string]string // labels of the newest data point, and the labels of its resource
}

func (r *receiver) metric(name string) (map[string]string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	labels, ok := r.metrics[name]
	return labels, ok
}

func (r *receiver) protocol() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{metrics: map[string]map[string]string{}}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		over := "HTTP"
		switch {
		case err != nil:
		case strings.HasPrefix(req.Header.Get("Content-Type"), "application/grpc"):
			over = "gRPC"
			body, err = message(body, req.Header.Get("Grpc-Encoding"))
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = w.Write(make([]byte, 5)) // an empty answer, not compressed
			w.Header().Set("Grpc-Status", "0")
		case req.Header.Get("Content-Encoding") == "gzip":
			body, err = inflate(body)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err == nil {
			err = r.export(body)
		}
		if err != nil {
			t.Errorf("OTLP over %s: %v", over, err)
		}
		r.over = over
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

// message takes one message out of the frame of gRPC.
func message(body []byte, encoding string) ([]byte, error) {
	if len(body) < 5 || int(binary.BigEndian.Uint32(body[1:5])) != len(body)-5 {
		return nil, fmt.Errorf("a frame of %d bytes", len(body))
	}
	if body[0] == 0 {
		return body[5:], nil
	}
	if encoding != "gzip" {
		return nil, fmt.Errorf("compressed by %q", encoding)
	}
	return inflate(body[5:])
}

func inflate(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// export reads an ExportMetricsServiceRequest: resource_metrics = 1; in it resource = 1 {attributes = 1}, scope_metrics = 2
// {metrics = 2 {name = 1, gauge = 5, sum = 7, histogram = 9, summary = 11}}, each of these {data_points = 1 {attributes = 7; of a
// histogram 9}}.
func (r *receiver) export(body []byte) error {
	return fields(body, func(number int, resourceMetrics []byte) error {
		resource := map[string]string{}
		return fields(resourceMetrics, func(number int, part []byte) error {
			switch number {
			case 1:
				return attributes(part, 1, resource)
			case 2:
				return fields(part, func(number int, metric []byte) error {
					if number != 2 {
						return nil
					}
					name, labels := "", map[string]string{}
					err := fields(metric, func(number int, value []byte) error {
						switch number {
						case 1:
							name = string(value)
						case 5, 7, 9, 11:
							return fields(value, func(_ int, point []byte) error {
								at := 7
								if number == 9 {
									at = 9
								}
								return attributes(point, at, labels)
							})
						}
						return nil
					})
					for k, v := range resource {
						labels[k] = v
					}
					r.metrics[name] = labels
					return err
				})
			}
			return nil
		})
	})
}

// attributes reads KeyValues {key = 1, value = 2 {string_value = 1}} of a field.
func attributes(message []byte, field int, into map[string]string) error {
	return fields(message, func(number int, keyValue []byte) error {
		if number != field {
			return nil
		}
		key, value := "", ""
		err := fields(keyValue, func(number int, part []byte) error {
			if number == 1 {
				key = string(part)
				return nil
			}
			return fields(part, func(_ int, text []byte) error {
				value = string(text)
				return nil
			})
		})
		into[key] = value
		return err
	})
}

// fields calls f with each field of a protobuf message that has a length; numbers are left out.
func fields(message []byte, f func(number int, value []byte) error) error {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return fmt.Errorf("not a protobuf message: %.20x", message)
		}
		message = message[n:]
		size := 0
		switch tag & 7 {
		case 0:
			if _, size = binary.Uvarint(message); size <= 0 {
				return fmt.Errorf("not a number: %.20x", message)
			}
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			length, n := binary.Uvarint(message)
			if n <= 0 || int(length) > len(message)-n {
				return fmt.Errorf("a field of %d bytes in %d", length, len(message))
			}
			if err := f(int(tag>>3), message[n:n+int(length)]); err != nil {
				return err
			}
			size = n + int(length)
		}
		if size == 0 || size > len(message) {
			return fmt.Errorf("field %d has the type %d in %d bytes", tag>>3, tag&7, len(message))
		}
		message = message[size:]
	}
	return nil
}
