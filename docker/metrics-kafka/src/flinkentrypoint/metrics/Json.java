package flinkentrypoint.metrics;

/** As much of JSON as a record needs. */
final class Json {
    private Json() {}

    static String record(long time, String metric, String labels, double value) {
        StringBuilder b = new StringBuilder(160).append("{\"ts\":").append(time).append(",\"metric\":");
        string(b, metric).append(",\"labels\":").append(labels).append(",\"value\":");
        if (value == Math.rint(value) && Math.abs(value) < 1e15) {
            b.append((long) value);
        } else {
            b.append(value);
        }
        return b.append('}').toString();
    }

    static StringBuilder string(StringBuilder b, String s) {
        b.append('"');
        for (int i = 0; s != null && i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '"' || c == '\\') {
                b.append('\\').append(c);
            } else if (c < ' ') {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        return b.append('"');
    }
}
