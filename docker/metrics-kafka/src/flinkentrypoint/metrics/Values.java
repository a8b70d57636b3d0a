package flinkentrypoint.metrics;

import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.Histogram;
import org.apache.flink.metrics.HistogramStatistics;
import org.apache.flink.metrics.Meter;
import org.apache.flink.metrics.Metric;

/** The numbers of a metric. */
final class Values {
    private Values() {}

    interface To {
        void value(String suffix, double value);
    }

    static void of(Metric metric, To to) {
        if (metric instanceof Counter) {
            number(to, "", ((Counter) metric).getCount());
        } else if (metric instanceof Meter) {
            number(to, "", ((Meter) metric).getRate());
        } else if (metric instanceof Gauge) {
            Object value = ((Gauge<?>) metric).getValue();
            if (value instanceof Number) {
                number(to, "", ((Number) value).doubleValue());
            } else if (value instanceof Boolean) {
                number(to, "", (Boolean) value ? 1 : 0);
            } // a text is not a number
        } else if (metric instanceof Histogram) {
            HistogramStatistics statistics = ((Histogram) metric).getStatistics();
            number(to, ".count", ((Histogram) metric).getCount());
            number(to, ".mean", statistics.getMean());
            number(to, ".max", statistics.getMax());
            number(to, ".p99", statistics.getQuantile(0.99));
        }
    }

    /** JSON has no NaN and no infinity. */
    private static void number(To to, String suffix, double value) {
        if (!Double.isNaN(value) && !Double.isInfinite(value)) {
            to.value(suffix, value);
        }
    }
}
