import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * note(file, id) is id, and adds a line to the file: which run and which process, which instance of this function, and what happened. That
 * file is the truth that the platform's states are compared with.
 */
public class Note extends ScalarFunction {

    private static final long serialVersionUID = 1;

    private transient FileOutputStream out;
    private transient String me;

    @Override
    public void open(FunctionContext context) {
        // A process of the platform works below data/runs/RUN/NAME.
        String[] parts = System.getProperty("user.dir").split("/runs/");
        String run = parts.length < 2 ? "?" : parts[1].split("/")[0];
        String process = ManagementFactory.getRuntimeMXBean().getName().split("@")[0];
        me = run + " " + process + " " + Integer.toHexString(System.identityHashCode(this)) + " ";
    }

    public Integer eval(String file, Integer id) throws IOException {
        if (out == null) {
            out = new FileOutputStream(file, true);
            write("open");
        }
        write("row " + id);
        return id;
    }

    @Override
    public void close() throws IOException {
        if (out != null) {
            write("close");
            out.close();
        }
    }

    @Override
    public boolean isDeterministic() {
        return false;
    }

    /** One write of a short line to the end of a file is not mixed with another's. */
    private void write(String what) throws IOException {
        out.write((me + what + "\n").getBytes(StandardCharsets.UTF_8));
    }
}
