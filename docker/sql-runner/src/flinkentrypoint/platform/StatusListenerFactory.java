package flinkentrypoint.platform;

import org.apache.flink.core.execution.JobExecutionStatusEvent;
import org.apache.flink.core.execution.JobStatusChangedListener;
import org.apache.flink.core.execution.JobStatusChangedListenerFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands each change of a job's status to {@link Events}. Flink 2.0 and later have such listeners, and only they load
 * this class. An exception here would fail the job, so all are caught.
 */
public final class StatusListenerFactory implements JobStatusChangedListenerFactory {

    private static final Logger LOG = LoggerFactory.getLogger(StatusListenerFactory.class);

    @Override
    public JobStatusChangedListener createListener(Context context) {
        Events events = null;
        try {
            events = Events.of(context.getConfiguration());
        } catch (Throwable t) {
            LOG.warn("The job's status will not be reported to the platform.", t);
        }
        return listener(events);
    }

    private static JobStatusChangedListener listener(Events events) {
        return event -> {
            try {
                if (events != null && event instanceof JobExecutionStatusEvent) {
                    JobExecutionStatusEvent e = (JobExecutionStatusEvent) event;
                    events.add(e.jobId(), e.jobName(), e.oldStatus(), e.newStatus(), e.exception());
                }
            } catch (Throwable t) {
                LOG.warn("Not reported to the platform: {}.", event, t);
            }
        };
    }
}
