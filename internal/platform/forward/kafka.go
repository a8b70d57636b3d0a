// Package forward is the way of metrics by Kafka, as far as it is the platform's: it writes the topic of jobs ([Jobs]), with which a Flink job
// enriches metrics, and brings what that job has aggregated to Pushgateway ([Metrics]).
//
// Only the platform knows when a job has ended. So only it can remove the metrics of a job from a Pushgateway, which never forgets by itself.
package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// Kafka says where the brokers are and how they know who asks.
type Kafka struct {
	Brokers []string // HOST:PORT
	TLS     bool
	User    string // of SASL PLAIN; "": none
	// PasswordFile has the password, read for each connection.
	PasswordFile string
}

// options are what each client of these brokers has.
func (k Kafka) options() []kgo.Opt {
	all := []kgo.Opt{kgo.SeedBrokers(k.Brokers...), kgo.ClientID("flink-platform")}
	if k.TLS {
		all = append(all, kgo.DialTLSConfig(new(tls.Config)))
	}
	if k.User != "" {
		all = append(all, kgo.SASL(plain.Plain(k.auth)))
	}
	return all
}

func (k Kafka) auth(context.Context) (plain.Auth, error) {
	password, err := os.ReadFile(k.PasswordFile)
	return plain.Auth{User: k.User, Pass: strings.TrimRight(string(password), "\r\n")}, err
}

// makeCompacted makes a topic whose newest record of each key stays, unless it exists: who may write to it may not be allowed to make one.
func makeCompacted(ctx context.Context, client *kgo.Client, topic string) error {
	policy := "compact"
	admin := kadm.NewClient(client)
	if have, err := admin.ListTopics(ctx, topic); err == nil && have.Has(topic) && have[topic].Err == nil {
		return nil
	}
	_, err := admin.CreateTopic(ctx, 1, -1, map[string]*string{"cleanup.policy": &policy}, topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("topic %s: %w", topic, err)
	}
	return nil
}
