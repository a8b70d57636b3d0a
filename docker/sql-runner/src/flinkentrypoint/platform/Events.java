package flinkentrypoint.platform;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reports the status changes of this JobManager's jobs to the platform, one after the other.
 *
 * <p>One queue and one thread for the whole JVM, so that the order holds across jobs. {@link #add} only puts an event
 * into the queue: Flink calls it on the dispatcher's main thread.
 */
final class Events {

    private static final Logger LOG = LoggerFactory.getLogger(Events.class);

    private static final int CAPACITY = 1_000;
    private static final int LARGEST_CAUSE = 8 << 10;
    private static final long FIRST_BACKOFF_MILLIS = 100;
    private static final long LAST_BACKOFF_MILLIS = 5_000;
    private static final long END_MILLIS = 3_000;
    private static final long END_BACKOFF_MILLIS = 250;

    private static Events ours;

    private final Settings settings;

    // Guarded by this.
    private final Deque<Event> queue = new ArrayDeque<>();
    private boolean sending;
    private boolean ending;
    private long sequence;

    private static final class Event implements Request.Body {
        final boolean terminal;
        final String what;
        final byte[] json;

        Event(boolean terminal, String what, String json) {
            this.terminal = terminal;
            this.what = what;
            this.json = json.getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public InputStream open() {
            return new ByteArrayInputStream(json);
        }

        @Override
        public long length() {
            return json.length;
        }
    }

    /** The queue of this JVM, or null where Flink's configuration has no platform. */
    static synchronized Events of(Configuration c) {
        Settings settings = Settings.of(c);
        if (ours == null && settings.complete()) {
            ours = new Events(settings);
            ours.start();
        }
        return ours;
    }

    private Events(Settings settings) {
        this.settings = settings;
    }

    private void start() {
        Thread sender = new Thread(this::sendAll, "flink-entrypoint-events");
        sender.setDaemon(true);
        sender.setContextClassLoader(Events.class.getClassLoader()); // not the job's, which must be able to go
        sender.start();
        Thread end = new Thread(this::end, "flink-entrypoint-events-end");
        end.setContextClassLoader(Events.class.getClassLoader());
        try {
            Runtime.getRuntime().addShutdownHook(end);
        } catch (IllegalStateException e) {
            LOG.debug("The JVM is ending already.", e);
        }
    }

    /** Adds an event. It does not wait: if too many are unsent, the oldest that is not a job's end is dropped. */
    synchronized void add(JobID job, String name, JobStatus old, JobStatus status, Throwable cause) {
        sequence++; // of a dropped event too: a gap shows it
        if (queue.size() >= CAPACITY) {
            for (Iterator<Event> i = queue.iterator(); i.hasNext(); ) {
                Event e = i.next();
                if (!e.terminal) {
                    i.remove();
                    LOG.warn("Not reported to the platform, because too many events are unsent: {}.", e.what);
                    break;
                }
            }
        }
        queue.add(new Event(status.isTerminalState(), "job " + job + " is " + status, "{\"run\":" + quoted(settings.run)
                + ",\"attempt\":" + quoted(settings.attempt) + ",\"sequence\":" + sequence + ",\"jobId\":" + quoted(job.toString())
                + ",\"jobName\":" + quoted(name) + ",\"oldStatus\":" + quoted(old.name()) + ",\"status\":" + quoted(status.name())
                + ",\"cause\":" + quoted(text(cause)) + ",\"at\":" + System.currentTimeMillis() + "}"));
        notifyAll();
    }

    private void sendAll() {
        while (true) {
            try {
                deliver(next());
            } catch (Throwable t) {
                LOG.warn("An event is lost.", t);
            }
            synchronized (this) {
                sending = false;
                notifyAll();
            }
        }
    }

    private synchronized Event next() throws InterruptedException {
        while (queue.isEmpty()) {
            wait();
        }
        sending = true;
        return queue.remove();
    }

    private void deliver(Event event) throws InterruptedException {
        boolean reported = false;
        for (long backoff = FIRST_BACKOFF_MILLIS; ; backoff = Math.min(2 * backoff, LAST_BACKOFF_MILLIS)) {
            long pause = backoff / 2 + ThreadLocalRandom.current().nextLong(backoff / 2 + 1);
            String why;
            try {
                Request request = new Request("POST", settings.events, settings);
                request.send(event);
                if (request.accepted()) {
                    if (reported) {
                        LOG.info("Reported to the platform: {}.", event.what);
                    }
                    return;
                }
                why = "it answered " + request.status;
                if (!request.worthAnother()) {
                    LOG.warn("Not reported to the platform at {}: {}. Reason: {}.", settings.events, event.what, why);
                    return;
                }
                pause = Math.max(pause, request.retryAfterMillis);
            } catch (Exception e) {
                why = e.toString();
            }
            if (!reported) {
                reported = true;
                LOG.warn("Cannot report to the platform at {}: {}. Reason: {}. Trying again.", settings.events, event.what, why);
            }
            pause(pause);
        }
    }

    private synchronized void pause(long millis) throws InterruptedException {
        long until = System.nanoTime() + millis * 1_000_000;
        while (!ending) {
            long left = (until - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                return;
            }
            wait(left);
        }
        Thread.sleep(END_BACKOFF_MILLIS);
    }

    /** Holds the end of the JVM until everything is sent, for a short time. */
    private synchronized void end() {
        ending = true;
        notifyAll();
        long until = System.nanoTime() + END_MILLIS * 1_000_000;
        try {
            for (long left = END_MILLIS; left > 0 && (sending || !queue.isEmpty()); left = (until - System.nanoTime()) / 1_000_000) {
                wait(left);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** The exceptions from the innermost, which is what went wrong, to the outermost. */
    private static String text(Throwable outermost) {
        Deque<Throwable> chain = new ArrayDeque<>();
        Set<Throwable> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        for (Throwable t = outermost; t != null && seen.add(t); t = t.getCause()) {
            chain.push(t);
        }
        StringBuilder text = new StringBuilder();
        String last = "";
        for (Throwable t : chain) {
            String line = described(t);
            if (!line.equals(last)) {
                text.append(text.length() == 0 ? "" : "\nin: ").append(line);
            }
            last = line;
            if (text.length() > LARGEST_CAUSE) {
                break;
            }
        }
        int bytes = 0;
        for (int i = 0; i < text.length(); ) {
            int c = text.codePointAt(i);
            bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
            if (bytes > LARGEST_CAUSE) {
                text.setLength(i);
                break;
            }
            i += Character.charCount(c);
        }
        return text.toString();
    }

    /** An exception's own text, which may be a program's own failure too. */
    private static String described(Throwable t) {
        try {
            return String.valueOf(t);
        } catch (RuntimeException e) {
            return t.getClass().getName();
        }
    }

    private static String quoted(String s) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : String.valueOf(s).toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < ' ' || Character.isSurrogate(c)) { // half a pair would not be UTF-8
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }
}
