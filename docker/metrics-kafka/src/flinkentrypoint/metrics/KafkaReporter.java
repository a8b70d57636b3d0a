package flinkentrypoint.metrics;

import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.metrics.CharacterFilter;
import org.apache.flink.metrics.LogicalScopeProvider;
import org.apache.flink.metrics.Metric;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.Scheduled;

/**
 * Writes each metric, each interval, as one JSON record to a topic of Kafka. docs/metrics-record.schema.json describes the record.
 *
 * <p>Flink calls report() on a thread that all reporters of a process share. So it only fills a bounded queue; another thread sends. What does
 * not fit is counted and dropped: a broker that is away costs nothing but these records. The count is a record itself, reporter.lost.
 */
public final class KafkaReporter implements MetricReporter, Scheduled {
    private final Map<Metric, Described> metrics = new ConcurrentHashMap<>();
    private volatile String process = "{}"; // labels of the process
    private Sender sender;

    /** The constant part of a metric's record. */
    private static final class Described {
        final String name;
        final String labels; // a JSON object

        Described(String name, String labels) {
            this.name = name;
            this.labels = labels;
        }
    }

    @Override
    public void open(MetricConfig config) {
        Properties producer = new Properties();
        for (String key : config.stringPropertyNames()) {
            if (key.startsWith("producer.")) {
                producer.setProperty(key.substring("producer.".length()), config.getProperty(key));
            }
        }
        String brokers = config.getString("bootstrap.servers", "");
        if (brokers.isEmpty()) {
            throw new IllegalArgumentException("metrics reporter for Kafka: expected bootstrap.servers, found none");
        }
        producer.setProperty("bootstrap.servers", brokers);
        sender = new Sender(producer, config.getString("topic", "flink-metrics"), config.getInteger("queue", 20000));
        sender.start();
    }

    @Override
    public void close() {
        sender.close();
    }

    @Override
    public void notifyOfAddedMetric(Metric metric, String name, MetricGroup group) {
        String scope = LogicalScopeProvider.castFrom(group).getLogicalScope(CharacterFilter.NO_OP_FILTER, '.');
        StringBuilder labels = new StringBuilder("{");
        for (Map.Entry<String, String> e : group.getAllVariables().entrySet()) {
            String key = e.getKey(); // <job_name>
            if (labels.length() > 1) {
                labels.append(',');
            }
            Json.string(labels, key.substring(1, key.length() - 1)).append(':');
            Json.string(labels, e.getValue());
        }
        Described described = new Described(scope + "." + name, labels.append('}').toString());
        metrics.put(metric, described);
        if (scope.contains(".Status.JVM")) {
            process = described.labels;
        }
    }

    @Override
    public void notifyOfRemovedMetric(Metric metric, String name, MetricGroup group) {
        metrics.remove(metric);
    }

    @Override
    public void report() {
        long now = System.currentTimeMillis();
        for (Map.Entry<Metric, Described> e : metrics.entrySet()) {
            Described d = e.getValue();
            try {
                Values.of(e.getKey(), (suffix, value) -> sender.offer(Json.record(now, d.name + suffix, d.labels, value)));
            } catch (RuntimeException inGauge) {
                // A gauge of a task that has just ended may throw. It is asked again, or removed.
            }
        }
        sender.offer(Json.record(now, "reporter.lost", process, sender.lost()));
    }
}
