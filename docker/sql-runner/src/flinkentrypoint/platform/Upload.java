package flinkentrypoint.platform;

import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An archive on its way: collected in memory, if large in a temporary file, and PUT when it is complete.
 *
 * <p>Flink keeps the JobManager until its archives are written, so the platform gets little time. What counts is how long
 * it accepts no bytes: a large archive on a slow line may go on for longer.
 */
final class Upload extends FSDataOutputStream implements Request.Body {

    private static final Logger LOG = LoggerFactory.getLogger(Upload.class);

    private static final int IN_MEMORY = 1 << 20;
    private static final long PATIENCE_MILLIS = 5_000;
    private static final long PATIENCE_AFTER_FAILURE_MILLIS = 1_000;
    private static final long LONGEST_MILLIS = 60_000;
    private static final long END_MILLIS = 3_000; // Flink halts a JVM whose hooks take 5 s
    private static final long FIRST_BACKOFF_MILLIS = 100;
    private static final long LAST_BACKOFF_MILLIS = 1_000;

    /** Whether the platform was away when the last archive ended: many jobs must not wait long each. */
    private static volatile boolean away;

    private final Settings settings;
    private final URL target;
    private final boolean onlyIfNew;

    private final ByteArrayOutputStream memory = new ByteArrayOutputStream();
    private OutputStream out = memory;
    private Path file;
    private long length;
    private boolean failed;
    private boolean closed;

    private volatile boolean givenUp;
    private volatile long mostSent;
    private volatile long lastProgress;

    Upload(Settings settings, URL target, boolean onlyIfNew) {
        this.settings = settings;
        this.target = target;
        this.onlyIfNew = onlyIfNew;
    }

    @Override
    public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] b, int offset, int n) throws IOException {
        try {
            if (file == null && length + n > IN_MEMORY) {
                file = Files.createTempFile("flink-entrypoint-archive", ".json"); // readable by its owner alone
                out = new BufferedOutputStream(Files.newOutputStream(file), 64 << 10);
                memory.writeTo(out);
                memory.reset();
            }
            out.write(b, offset, n);
            length += n;
        } catch (IOException e) {
            failed = true; // Flink closes it all the same
            throw e;
        }
    }

    @Override
    public long getPos() {
        return length;
    }

    @Override
    public void flush() {}

    @Override
    public void sync() {}

    @Override
    public void close() throws IOException {
        if (closed) {
            return;
        }
        closed = true;
        boolean later = false;
        try {
            out.close();
            later = !failed && settings.highAvailability;
            if (later) {
                putLater();
            } else if (!failed) {
                put();
            }
        } finally {
            if (!later) {
                deleteFile();
            }
        }
    }

    /**
     * With high availability nothing waits for the PUT but the end of the JVM: Flink commits the job's result after its
     * archive is written, and up to 1.20 gives up its leadership meanwhile. A standby that leads before the commit runs
     * the job again.
     */
    private void putLater() {
        Thread sender = new Thread(() -> {
            try {
                put();
            } catch (IOException | RuntimeException e) {
                LOG.warn("An archive is lost.", e);
            } finally {
                deleteFile();
            }
        }, "flink-entrypoint-archive-later");
        sender.setDaemon(true);
        sender.setContextClassLoader(Upload.class.getClassLoader());
        sender.start();
        Thread end = new Thread(() -> {
            try {
                sender.join(END_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } finally {
                deleteFile();
            }
        }, "flink-entrypoint-archive-end");
        end.setContextClassLoader(Upload.class.getClassLoader());
        try {
            Runtime.getRuntime().addShutdownHook(end);
        } catch (IllegalStateException e) {
            LOG.debug("The JVM is ending already.", e);
        }
    }

    private void deleteFile() {
        if (file != null) {
            try {
                Files.deleteIfExists(file);
            } catch (IOException e) {
                LOG.debug("A temporary file is left.", e);
            }
        }
    }

    @Override
    public InputStream open() throws IOException {
        return file != null ? Files.newInputStream(file) : new ByteArrayInputStream(memory.toByteArray());
    }

    @Override
    public long length() {
        return length;
    }

    /** Progress is what no earlier try has sent: trying again is not. */
    @Override
    public void sent(long bytes) throws IOException {
        if (givenUp) {
            throw new IOException("too late");
        }
        if (bytes > mostSent) {
            mostSent = bytes;
            lastProgress = System.nanoTime();
        }
    }

    /** Waits for the PUT, which has a thread of its own, since not everything in it has a time limit. */
    private void put() throws IOException {
        long patience = away ? PATIENCE_AFTER_FAILURE_MILLIS : PATIENCE_MILLIS;
        long start = System.nanoTime();
        lastProgress = start;
        FutureTask<Void> task = new FutureTask<>(() -> {
            putUntilTaken();
            return null;
        });
        Thread thread = new Thread(task, "flink-entrypoint-archive");
        thread.setDaemon(true);
        thread.setContextClassLoader(Upload.class.getClassLoader());
        thread.start();
        try {
            while (true) {
                try {
                    long idle = millisSince(lastProgress);
                    task.get(Math.max(1, Math.min(patience - idle, LONGEST_MILLIS - millisSince(start))), TimeUnit.MILLISECONDS);
                    away = false;
                    return;
                } catch (TimeoutException e) {
                    if (millisSince(lastProgress) >= patience || millisSince(start) >= LONGEST_MILLIS) {
                        away = true;
                        throw new IOException("the platform has not taken " + target + " within " + millisSince(start) + " ms");
                    }
                }
            }
        } catch (ExecutionException e) {
            throw new IOException("the platform has not taken " + target + ": " + e.getCause().getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while the platform takes " + target);
        } finally {
            givenUp = true;
            thread.interrupt(); // it may be asleep
        }
    }

    private void putUntilTaken() throws IOException, InterruptedException {
        boolean reported = false;
        for (long pause = FIRST_BACKOFF_MILLIS; !givenUp; pause = Math.min(2 * pause, LAST_BACKOFF_MILLIS)) {
            String why;
            try {
                Request r = new Request("PUT", target, settings);
                if (onlyIfNew) {
                    r.onlyIfNew();
                }
                r.send(this);
                // An archive that is there already is this one, from an earlier try or an earlier JobManager.
                if (r.accepted() || onlyIfNew && (r.status == 409 || r.status == 412)) {
                    return;
                }
                why = "it answered " + r.status;
                if (!r.worthAnother()) {
                    throw new Refused(why);
                }
                pause = Math.max(pause, r.retryAfterMillis);
            } catch (Refused e) {
                throw e;
            } catch (IOException | RuntimeException e) {
                why = e.toString();
            }
            if (!reported && !givenUp) {
                reported = true;
                LOG.warn("The platform does not take {}: {}. Trying again for a short time.", target, why);
            }
            Thread.sleep(pause);
        }
    }

    private static final class Refused extends IOException {
        private static final long serialVersionUID = 1;

        Refused(String message) {
            super(message);
        }
    }

    private static long millisSince(long nanoTime) {
        return (System.nanoTime() - nanoTime) / 1_000_000;
    }
}
