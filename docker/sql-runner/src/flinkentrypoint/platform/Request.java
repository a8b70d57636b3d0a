package flinkentrypoint.platform;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpRetryException;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;

/**
 * One HTTP request to the platform, and what its answer means.
 *
 * <p>It goes straight to the platform: through no proxy that the JVM was given for other purposes, and it follows no
 * redirect, since it carries a token. The token is read from its file each time, since such files are renewed, and is
 * in no text that leaves this class.
 */
final class Request {

    static final int CONNECT_MILLIS = 2_000;
    static final int READ_MILLIS = 3_000;
    private static final int LARGEST_TOKEN = 64 << 10;
    private static final long LONGEST_RETRY_AFTER_MILLIS = 60_000;

    /** Where the request's body comes from, and who hears how much of it was sent. */
    interface Body {
        InputStream open() throws IOException;

        long length();

        default void sent(long bytes) throws IOException {}
    }

    private final HttpURLConnection connection;

    /** The status of the answer, and how long the platform asks to wait (Retry-After), 0 if it does not say. */
    int status;
    long retryAfterMillis;

    Request(String method, URL url, Settings settings) throws IOException {
        connection = (HttpURLConnection) url.openConnection(Proxy.NO_PROXY);
        connection.setRequestMethod(method);
        connection.setRequestProperty("Authorization", "Bearer " + token(settings.tokenFile));
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setRequestProperty("Flink-Attempt", settings.attempt);
        connection.setConnectTimeout(CONNECT_MILLIS);
        connection.setReadTimeout(READ_MILLIS);
        connection.setInstanceFollowRedirects(false);
        connection.setUseCaches(false);
        connection.setDoOutput(true);
    }

    void onlyIfNew() {
        connection.setRequestProperty("If-None-Match", "*");
    }

    /** Sends the request. The connection serves no other one: an idle one may be dead, and requests are rare. */
    void send(Body body) throws IOException {
        try {
            connection.setFixedLengthStreamingMode(body.length());
            try (InputStream in = body.open();
                    OutputStream out = connection.getOutputStream()) {
                byte[] buffer = new byte[64 << 10];
                long sent = 0;
                for (int n; (n = in.read(buffer)) > 0; ) {
                    out.write(buffer, 0, n);
                    sent += n;
                    body.sent(sent);
                }
            }
            status = connection.getResponseCode();
            retryAfterMillis = retryAfter(connection.getHeaderField("Retry-After"));
        } catch (HttpRetryException e) {
            status = e.responseCode(); // 401 to a body that the JVM does not keep
        } finally {
            connection.disconnect();
        }
    }

    boolean accepted() {
        return status / 100 == 2;
    }

    /** Whether the same request may succeed later. */
    boolean worthAnother() {
        return status >= 500 || status == 408 || status == 425 || status == 429;
    }

    /** The header's value is a number of seconds or a date. */
    private static long retryAfter(String value) {
        if (value == null) {
            return 0;
        }
        long millis;
        try {
            millis = Integer.parseInt(value.trim()) * 1000L;
        } catch (NumberFormatException e) {
            try {
                millis = Duration.between(ZonedDateTime.now(), ZonedDateTime.parse(value, DateTimeFormatter.RFC_1123_DATE_TIME)).toMillis();
            } catch (RuntimeException e2) {
                return 0;
            }
        }
        return Math.max(0, Math.min(millis, LONGEST_RETRY_AFTER_MILLIS));
    }

    private static String token(Path file) throws IOException {
        if (Files.size(file) > LARGEST_TOKEN) {
            throw new IOException(file + " is larger than a token");
        }
        String token = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).trim();
        // Checked here, since the JVM would show the whole header in its error message.
        if (token.isEmpty() || !token.chars().allMatch(c -> c > ' ' && c < 127)) {
            throw new IOException(file + " does not hold one line of visible ASCII");
        }
        return token;
    }
}
