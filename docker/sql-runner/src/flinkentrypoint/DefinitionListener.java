package flinkentrypoint;

import java.lang.reflect.Field;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.JobListener;
import org.apache.flink.runtime.executiongraph.AccessExecutionGraph;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Says so when the job that runs was submitted from another definition than this JobManager was given.
 *
 * <p>With high availability a JobManager that takes over, or comes back, runs the job as it was submitted, whatever its
 * definition says by now. The program's main runs again, but Flink only hands it a client of the recovered job. The
 * digests of the definition are global job parameters ({@code flink-entrypoint.*}, set by internal/boot), so they are in
 * the recovered job itself, wherever that is stored. Flink's configuration names this class as a job listener: it
 * serves SQL and jar jobs alike. Nothing that goes wrong here reaches the job.
 */
public final class DefinitionListener implements JobListener {

    private static final Logger LOG = LoggerFactory.getLogger(DefinitionListener.class);
    private static final String OURS = "flink-entrypoint.";

    /** The Table API configures an environment, and with it the listeners, more than once. */
    private static final Set<JobID> SEEN = ConcurrentHashMap.newKeySet();

    @Override
    public void onJobSubmitted(JobClient client, Throwable failure) {
        if (client == null || !SEEN.add(client.getJobID())) {
            return;
        }
        try {
            // A new environment has the parameters of the configuration, whatever the program did to its own.
            Map<String, String> present = new TreeMap<>(StreamExecutionEnvironment.getExecutionEnvironment().getConfig().getGlobalJobParameters().toMap());
            present.keySet().removeIf(key -> !key.startsWith(OURS));
            Thread thread = new Thread(() -> compare(client, present), "flink-entrypoint-definition");
            thread.setDaemon(true);
            thread.start();
        } catch (Throwable t) {
            cannotTell(client, t);
        }
    }

    @Override
    public void onJobExecuted(JobExecutionResult result, Throwable failure) {}

    private static void compare(JobClient client, Map<String, String> present) {
        try {
            judge(client.getJobID(), present, parameters(client));
        } catch (Throwable t) {
            cannotTell(client, t);
        }
    }

    private static void cannotTell(JobClient client, Throwable why) {
        LOG.info("Cannot tell whether job {} runs the definition of this JobManager.", client.getJobID(), why);
    }

    /**
     * The global job parameters of the job that runs. No public interface of a client has them, and the REST API may ask
     * for certificates, so this asks as the client itself does. The fields are the same in 1.15 to 2.3; a test says so.
     */
    private static Map<String, String> parameters(JobClient client) throws Exception {
        Field gateway = client.getClass().getDeclaredField("dispatcherGateway");
        Field timeout = client.getClass().getDeclaredField("timeout");
        gateway.setAccessible(true);
        timeout.setAccessible(true);
        while (true) {
            Object graph = ((CompletableFuture<?>) gateway.getType()
                            .getMethod("requestJob", JobID.class, timeout.getType())
                            .invoke(gateway.get(client), client.getJobID(), timeout.get(client)))
                    .get();
            AccessExecutionGraph job = (AccessExecutionGraph) graph;
            if (job.getState() != JobStatus.INITIALIZING) {
                return job.getArchivedExecutionConfig().getGlobalJobParameters();
            }
            Thread.sleep(500); // a job that is being initialised has no parameters yet, and its end no listener
        }
    }

    private static void judge(JobID job, Map<String, String> present, Map<String, String> running) {
        StringBuilder differences = new StringBuilder();
        boolean carried = false;
        for (Map.Entry<String, String> e : present.entrySet()) {
            String digest = running.get(e.getKey());
            carried |= digest != null;
            if (!e.getValue().equals(digest)) {
                differences.append(differences.length() == 0 ? "" : ", ").append(e.getKey().substring(OURS.length()))
                        .append(" sha256 ").append(digest).append(" where this JobManager was given ").append(e.getValue());
            }
        }
        if (present.isEmpty()) {
            LOG.info("Cannot tell whether job {} runs the definition of this JobManager: another pipeline.global-job-parameters is in force.", job);
        } else if (differences.length() == 0) {
            LOG.info("Job {} runs the definition of this JobManager: {}.", job, present);
        } else if (!carried) {
            LOG.warn("Job {} carries no digest of its definition, as when the program sets global job parameters of its own:"
                    + " if it was recovered, it may run an older one.", job);
        } else {
            String warning = "job " + job + " was recovered and runs an OLDER DEFINITION: " + differences
                    + ". What changed in the job has no effect. To run the new definition, stop the job with a savepoint, then start with"
                    + " that savepoint under a new highAvailability.clusterId, or after the high availability data of this one were removed";
            LOG.warn("{}.", warning);
            System.err.println("flink-entrypoint: warning: " + warning);
        }
    }
}
