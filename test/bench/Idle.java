import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** A job that runs until it is cancelled and prints nothing. */
public class Idle {
  public static void main(String[] args) throws Exception {
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    env.fromSequence(1, Long.MAX_VALUE)
        .map(n -> { Thread.sleep(10); return n; })
        .returns(Long.class)
        .filter(n -> n < 0)
        .print();
    env.execute("idle");
  }
}
