import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironmentFactory;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.ResultKind;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Executes scripts, each in a new TableEnvironment of one JVM. They share one cluster in it: by itself, Flink would start and end a
 * cluster for each job. A script is a line of stdin: name, streaming or batch (with ",plan" queries and INSERTs are planned and not run),
 * and its statements in base64, separated by tabs. For every statement a line \1 OK or \1 FAIL and the reason; rows of queries as
 * "row> "; at the end of a script \1 END.
 */
public class MockDriver {
    public static void main(String[] args) throws Exception {
        Context.cluster();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String[] f = line.split("\t");
            boolean plan = f[1].endsWith(",plan");
            f[1] = f[1].replace(",plan", "");
            Configuration conf = new Configuration();
            conf.setString("parallelism.default", "1");
            conf.setString("restart-strategy", "none");
            conf.setString("restart-strategy.type", "none");
            conf.setString("execution.runtime-mode", f[1]);
            EnvironmentSettings.Builder b = EnvironmentSettings.newInstance();
            b = f[1].equals("batch") ? b.inBatchMode() : b.inStreamingMode();
            TableEnvironment env = TableEnvironment.create(b.build());
            env.getConfig().getConfiguration().addAll(conf);
            for (int i = 2; i < f.length; i++) {
                String sql = new String(Base64.getDecoder().decode(f[i]), StandardCharsets.UTF_8);
                try {
                    run(env, plan ? planned(sql) : sql);
                    System.out.println("\1 OK");
                } catch (Throwable t) {
                    Throwable root = t;
                    while (root.getCause() != null && root.getCause() != root) root = root.getCause();
                    String m = (t == root ? "" : t + " ... ") + root;
                    System.out.println("\1 FAIL " + m.replaceAll("\\s+", " "));
                    if (System.getenv("MOCK_TRACE") != null) t.printStackTrace();
                }
            }
            System.out.println("\1 END");
            System.out.flush();
        }
        System.exit(0);
    }

    /** Makes environments whose jobs go to the cluster of this JVM, as an application's main method gets one of its JobManager. */
    private abstract static class Context extends StreamExecutionEnvironment {
        static void cluster() throws Exception {
            Configuration conf = new Configuration();
            conf.setString("rest.port", "0");
            conf.setString("rest.bind-port", "0");
            conf.setString("taskmanager.memory.managed.size", "512m"); // what a cluster for one job has, for each slot
            MiniCluster cluster = new MiniCluster(new MiniClusterConfiguration.Builder()
                    .setConfiguration(conf).setNumTaskManagers(1).setNumSlotsPerTaskManager(4).build());
            cluster.start();
            URI rest = cluster.getRestAddress().get();
            StreamExecutionEnvironmentFactory factory = given -> {
                Configuration all = new Configuration();
                all.addAll(given);
                all.setString("execution.target", "remote");
                all.setString("rest.address", rest.getHost());
                all.setString("rest.port", String.valueOf(rest.getPort()));
                return new StreamExecutionEnvironment(all);
            };
            initializeContextEnvironment(factory);
        }
    }

    static void run(TableEnvironment env, String sql) throws Exception {
        String head = sql.trim().toUpperCase();
        if (head.startsWith("SET ")) { // SET 'key' = 'value'
            String[] kv = sql.trim().substring(4).split("=", 2);
            env.getConfig().getConfiguration().setString(unquote(kv[0]), unquote(kv[1]));
            return;
        }
        TableResult r = env.executeSql(sql);
        if (r.getResultKind() == ResultKind.SUCCESS_WITH_CONTENT) {
            if (r.getJobClient().isPresent() && !isQuery(head)) {
                r.await(120, TimeUnit.SECONDS);
                return; // the job's cluster is gone with it
            }
            try (CloseableIterator<Row> it = r.collect()) {
                while (it.hasNext()) System.out.println("row> " + it.next());
            }
        }
    }

    static String planned(String sql) {
        String head = sql.toUpperCase();
        if (head.startsWith("EXECUTE STATEMENT")) return "EXPLAIN" + sql.substring("EXECUTE".length());
        return head.startsWith("INSERT") || isQuery(head) ? "EXPLAIN " + sql : sql;
    }

    static boolean isQuery(String head) {
        return head.startsWith("SELECT") || head.startsWith("WITH") || head.startsWith("VALUES") || head.startsWith("(") || head.startsWith("TABLE");
    }

    static String unquote(String s) {
        s = s.trim();
        return s.startsWith("'") ? s.substring(1, s.length() - 1).replace("''", "'") : s;
    }
}
