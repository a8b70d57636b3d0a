package cli

import (
	"errors"
	"net"
	"os"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/platform/forward"
)

// kafkaFlags are the flags of how Kafka is reached.
func kafkaFlags(f *pflag.FlagSet) {
	f.StringSlice("kafka", nil, "`HOST:PORT` of a Kafka broker; several: again, or with commas")
	f.Bool("kafka-tls", false, "connect to Kafka by TLS")
	f.String("kafka-user", "", "user for Kafka, by SASL PLAIN (`NAME`)")
	f.String("kafka-password-file", "", "its password, read from `FILE` for each connection")
	f.String("kafka-jobs", "flink-jobs", "compacted topic with the newest run of each job (`TOPIC`)")
}

// kafka is how Kafka is reached.
func (c *call) kafka() (forward.Kafka, error) {
	brokers, err := c.flags.GetStringSlice("kafka")
	if err != nil {
		return forward.Kafka{}, err
	}
	k := forward.Kafka{Brokers: brokers, TLS: c.bool("kafka-tls"), User: c.text("kafka-user"), PasswordFile: c.text("kafka-password-file")}
	for _, b := range brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return k, usagef("--kafka is %q, expected HOST:PORT", b)
		}
	}
	switch {
	case (k.User == "") != (k.PasswordFile == ""):
		return k, usagef("--kafka-user and --kafka-password-file belong together")
	case len(brokers) == 0 && (k.TLS || k.User != ""):
		return k, usagef("--kafka-tls and --kafka-user are for --kafka, which is missing")
	case k.PasswordFile != "":
		if _, err := os.Stat(k.PasswordFile); err != nil {
			return k, usagef("--kafka-password-file: %w", err)
		}
	}
	return k, nil
}

func forwardFlags(f *pflag.FlagSet) {
	kafkaFlags(f)
	f.String("kafka-metrics", "flink-metrics-aggregated", "topic with aggregated metrics (`TOPIC`)")
	f.String("kafka-group", "flink-platform-forward", "consumer group of the forwarders (`NAME`)")
	f.String("pushgateway", "http://127.0.0.1:9091", "`URL` of the Pushgateway; one with a user and password is set as "+prefix+"PUSHGATEWAY")
	f.String("log-format", "text", "of the log on stderr: text or json (`FORMAT`)")
	f.String("log-level", "info", "debug, info, warn or error (`LEVEL`)")
}

// forwardMetrics runs until Ctrl-C.
func forwardMetrics(c *call) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	k, err := c.kafka()
	if err != nil {
		return err
	}
	if len(k.Brokers) == 0 {
		return usagef("no Kafka broker: give it with --kafka HOST:PORT")
	}
	if c.shows("pushgateway", c.text("pushgateway")) {
		return usagef("--pushgateway has a password, which every user of this machine can read: set %sPUSHGATEWAY", prefix)
	}
	m := &forward.Metrics{Kafka: k, JobsTopic: c.text("kafka-jobs"), MetricsTopic: c.text("kafka-metrics"), Group: c.text("kafka-group"), Gateway: c.text("pushgateway"), Log: log}
	log.Info("forwarding", "from", m.MetricsTopic)
	err = m.Run(c.ctx)
	if errors.Is(err, forward.ErrAddress) {
		return usagef("--pushgateway: %w", err)
	}
	return err
}
