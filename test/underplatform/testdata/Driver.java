import java.io.OutputStream;
import java.net.URI;
import java.util.Arrays;
import java.util.concurrent.Executor;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.DefaultJobExecutionStatusEvent;
import org.apache.flink.core.execution.JobStatusChangedListener;
import org.apache.flink.core.execution.JobStatusChangedListenerFactory;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.Path;

/** Does with the jar what Flink does, word by word from standard input: a command a line, an answer a line. */
public final class Driver {

    public static void main(String[] args) throws Exception {
        Configuration conf = new Configuration();
        for (String arg : args) {
            conf.setString(arg.substring(0, arg.indexOf('=')), arg.substring(arg.indexOf('=') + 1));
        }
        FileSystem.initialize(conf, null);
        java.io.BufferedReader in = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split(" ");
            long start = System.nanoTime();
            String result = "ok";
            try {
                switch (words[0]) {
                    case "hello":
                        break;
                    case "archive":
                        archive(words[1], Long.parseLong(words[2]));
                        break;
                    case "event":
                        Events.add(conf, words[1], JobStatus.valueOf(words[2]), Integer.parseInt(words[3]), null);
                        break;
                    case "fail":
                        Events.add(conf, words[1], JobStatus.FAILED, 1, cyclic());
                        break;
                    default: // the end of the program, as Flink ends
                        System.exit(7);
                }
            } catch (Exception e) {
                result = e.toString().replace('\n', ' ');
            }
            System.out.println((System.nanoTime() - start) / 1_000_000 + " " + result);
            System.out.flush();
        }
    }

    private static void archive(String path, long bytes) throws Exception {
        byte[] chunk = new byte[8000]; // what Flink's JSON generator writes at once
        Arrays.fill(chunk, (byte) 'a');
        try (OutputStream out = FileSystem.get(URI.create(path)).create(new Path(path), FileSystem.WriteMode.NO_OVERWRITE)) {
            for (long left = bytes; left > 0; left -= chunk.length) {
                out.write(chunk, 0, (int) Math.min(left, chunk.length));
            }
            out.flush();
        }
    }

    /** A cause of twice 8 KiB in UTF-8, in exceptions that have each other as a cause. */
    private static Throwable cyclic() {
        char[] long16k = new char[8 << 10];
        Arrays.fill(long16k, 'é');
        Exception inner = new IllegalStateException("\"inner\"\n\ttab \ud83d\ude00" + new String(long16k));
        Exception outer = new RuntimeException("outer", inner);
        inner.initCause(outer);
        return outer;
    }

    /** Only loaded where Flink has these interfaces. */
    private static final class Events {
        private static JobStatusChangedListener listener;

        static void add(Configuration conf, String job, JobStatus status, int times, Throwable cause) throws Exception {
            if (listener == null) {
                listener = ((JobStatusChangedListenerFactory) Class.forName(conf.toMap().get("execution.job-status-changed-listeners")).getDeclaredConstructor().newInstance())
                        .createListener(new JobStatusChangedListenerFactory.Context() {
                            @Override
                            public Configuration getConfiguration() {
                                return conf;
                            }

                            @Override
                            public ClassLoader getUserClassLoader() {
                                return Driver.class.getClassLoader();
                            }

                            @Override
                            public Executor getIOExecutor() {
                                return Runnable::run;
                            }
                        });
            }
            for (int i = 0; i < times; i++) {
                listener.onEvent(new DefaultJobExecutionStatusEvent(JobID.fromHexString(job), "a \"job\"", JobStatus.CREATED, status, cause));
            }
        }
    }
}
