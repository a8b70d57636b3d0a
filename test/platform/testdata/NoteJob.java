import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** A job in a jar: its arguments are the file that {@link Note} writes to, the number of rows, and how many jobs it starts. */
public class NoteJob {

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        for (int i = 0; i < Integer.parseInt(args[2]); i++) {
            env.fromSequence(1, Long.parseLong(args[1])).map(new Rows(args[0])).print();
            env.execute("rows");
        }
    }

    private static class Rows implements MapFunction<Long, Integer> {

        private static final long serialVersionUID = 1;

        private final String file;
        private transient Note note;

        Rows(String file) {
            this.file = file;
        }

        @Override
        public Integer map(Long row) throws Exception {
            if (note == null) {
                note = new Note();
                note.open(null);
            }
            return note.eval(file, row.intValue());
        }
    }
}
