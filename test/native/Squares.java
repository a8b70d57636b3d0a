import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** A job that prints five squares, each with all arguments, and ends. */
public class Squares {
  public static void main(String[] args) throws Exception {
    String text = String.join("|", args);
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    env.fromSequence(1, 5)
        .map(n -> "square " + n * n + " " + text)
        .returns(String.class)
        .print();
    env.execute("squares");
  }
}
