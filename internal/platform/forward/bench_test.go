package forward

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkMetrics: 50,000 records, of 100 jobs with 50 metrics and 10 windows each, from a Kafka of this process to a Pushgateway of this process.
func BenchmarkMetrics(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		k, g := broker(b, "flink-jobs", "aggregated"), newGateway(b)
		c := client(b, k)
		ctx := context.Background()
		var records []*kgo.Record
		for job := range 100 {
			name := fmt.Sprintf("job-%d", job)
			records = append(records, &kgo.Record{Topic: "flink-jobs", Key: []byte(name), Value: fmt.Appendf(nil, `{"job":%q,"run":"r","created":1}`, name)})
			for metric := range 50 {
				for window := range 10 {
					records = append(records, &kgo.Record{Topic: "aggregated", Value: fmt.Appendf(nil, `{"w":"2026-11-27 20:00:%02d.000","metric":"taskmanager.job.task.m%d","job":%q,"team":"web","version":3,"v_avg":1.5,"v_max":2,"v_sum":3}`, window, metric, name)})
				}
			}
		}
		if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
			b.Fatal(err)
		}
		m := &Metrics{Kafka: k, JobsTopic: "flink-jobs", MetricsTopic: "aggregated", Group: "forward", Gateway: g.URL, Log: quiet(b)}
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		b.StartTimer()
		began := time.Now()
		go func() { done <- m.Run(ctx) }()
		for committed(b, c) < 50_000 {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(50_000/time.Since(began).Seconds(), "records/s")
		b.StopTimer()
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
