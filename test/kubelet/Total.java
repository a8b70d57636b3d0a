import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** A job that adds the numbers from 1 to its first argument, 50 each second, and prints the total when it has the last one. */
public class Total {
  public static void main(String[] args) throws Exception {
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    env.setParallelism(1);
    env.fromSequence(1, Long.parseLong(args[0]))
        .map(Total::slow) // in the source's task, so that no queue of numbers delays a checkpoint
        .returns(Long.class)
        .keyBy(n -> "all")
        .process(new Sum(Long.parseLong(args[0])))
        .print();
    env.execute("total");
  }

  static Long slow(Long n) throws InterruptedException {
    Thread.sleep(20);
    return n;
  }

  static class Sum extends KeyedProcessFunction<String, Long, String> {
    private final long last;
    private transient ValueState<Long> sum;

    Sum(long last) {
      this.last = last;
    }

    // Registered at the first element: open has another signature in each major version.
    private ValueState<Long> sum() {
      if (sum == null) {
        sum = getRuntimeContext().getState(new ValueStateDescriptor<>("sum", Long.class));
      }
      return sum;
    }

    @Override
    public void processElement(Long n, Context context, Collector<String> out) throws Exception {
      Long before = sum().value();
      sum().update((before == null ? 0 : before) + n);
      if (n == last) {
        out.collect("total " + sum().value());
      }
    }
  }
}
