package flinkentrypoint.metrics;

import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Sends records from a bounded queue on a thread of its own, which does not hold the JVM. */
final class Sender extends Thread {
    private static final Logger LOG = LoggerFactory.getLogger(KafkaReporter.class);
    private static final long AGAIN = 10_000; // ms until a producer that cannot be made is tried again

    private final Properties properties = new Properties();
    private final String topic;
    private final BlockingQueue<String> queue;
    private final AtomicLong lost = new AtomicLong();
    private volatile boolean ending;

    Sender(Properties own, String topic, int capacity) {
        super("flink-entrypoint metrics to Kafka");
        setDaemon(true);
        this.topic = topic;
        this.queue = new ArrayBlockingQueue<>(capacity);
        properties.setProperty("acks", "1");
        properties.setProperty("linger.ms", "200");
        properties.setProperty("max.block.ms", "1000"); // without metadata or room a record is lost after this
        properties.setProperty("delivery.timeout.ms", "10000");
        properties.setProperty("request.timeout.ms", "5000");
        properties.setProperty("buffer.memory", String.valueOf(4 << 20));
        properties.setProperty("reconnect.backoff.max.ms", "10000");
        properties.setProperty("client.id", "flink-metrics");
        properties.putAll(own);
    }

    void offer(String record) {
        if (!queue.offer(record)) {
            lost.incrementAndGet();
        }
    }

    /** The number of records that were dropped since the start. */
    long lost() {
        return lost.get();
    }

    /** Gives what is in the queue a moment; the process may be ending. */
    void close() {
        ending = true;
        try {
            join(2_000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        interrupt();
    }

    @Override
    public void run() {
        // Kafka loads its classes by the context class loader, which is Flink's here and does not know them.
        setContextClassLoader(Sender.class.getClassLoader());
        KafkaProducer<byte[], byte[]> producer = null;
        boolean said = false;
        try {
            while (true) {
                String record = queue.poll(100, TimeUnit.MILLISECONDS);
                if (record == null) {
                    if (ending) {
                        return;
                    }
                    continue;
                }
                if (producer == null) {
                    try {
                        producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
                    } catch (RuntimeException e) { // no address of a broker is known; a DNS entry may come
                        lost.incrementAndGet();
                        if (!said) {
                            LOG.warn("Metrics are not sent to Kafka; it is tried again", e);
                            said = true;
                        }
                        if (ending) {
                            return;
                        }
                        Thread.sleep(AGAIN);
                        continue;
                    }
                }
                try {
                    producer.send(new ProducerRecord<>(topic, record.getBytes(StandardCharsets.UTF_8)), (metadata, e) -> {
                        if (e != null) {
                            lost.incrementAndGet();
                        }
                    });
                } catch (RuntimeException e) { // no room, or no metadata
                    lost.incrementAndGet();
                }
            }
        } catch (InterruptedException e) {
            // closed
        } finally {
            if (producer != null) {
                producer.close(java.time.Duration.ofSeconds(1));
            }
        }
    }
}
