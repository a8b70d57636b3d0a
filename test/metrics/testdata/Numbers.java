import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.DiscardingSink;

/** A job without SQL: ten numbers a second, into nothing. */
public class Numbers {
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSequence(0, Long.MAX_VALUE)
                .map(
                        new MapFunction<Long, Long>() {
                            @Override
                            public Long map(Long n) throws InterruptedException {
                                Thread.sleep(100);
                                return n;
                            }
                        })
                .addSink(new DiscardingSink<>());
        env.execute("numbers");
    }
}
