import java.io.*;
import java.lang.reflect.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;

/**
 * What Flink reads from configuration files, many in one JVM. Standard input: lines "NAME BASE64", a file's
 * name (flink-conf.yaml or config.yaml) and content. Standard output: one JSON object per line.
 */
public class ConfOracle {
    static String quote(String s) {
        StringBuilder b = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\') b.append('\\').append(c);
            else if (c < 0x20 || c > 0x7e) b.append(String.format("\\u%04x", (int) c));
            else b.append(c);
        }
        return b.append('"').toString();
    }

    static String array(Collection<String> list) {
        StringJoiner j = new StringJoiner(",", "[", "]");
        for (String s : list) j.add(quote(s));
        return j.toString();
    }

    static String object(Map<String, String> map) {
        StringJoiner j = new StringJoiner(",", "{", "}");
        map.forEach((k, v) -> j.add(quote(k) + ":" + quote(v)));
        return j.toString();
    }

    static List<String> chain(Throwable t, String dir) {
        if (t instanceof InvocationTargetException) t = t.getCause();
        List<String> l = new ArrayList<>();
        for (; t != null; t = t.getCause()) l.add(t.getClass().getName() + ": " + String.valueOf(t.getMessage()).replace(dir, "<CONF>"));
        return l;
    }

    /** Flink numbers anchors over the life of the JVM; every case begins anew. */
    static void resetAnchors() {
        try {
            Field settings = Class.forName("org.apache.flink.configuration.YamlParserUtils").getDeclaredField("flowDumperSettings");
            settings.setAccessible(true);
            Object generator = settings.get(null).getClass().getMethod("getAnchorGenerator").invoke(settings.get(null));
            Field last = generator.getClass().getDeclaredField("lastAnchorId");
            last.setAccessible(true);
            last.set(generator, 0);
        } catch (ReflectiveOperationException e) {
            // versions without a YAML library
        }
    }

    public static void main(String[] args) throws Exception {
        ByteArrayOutputStream captured = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
        System.setOut(new PrintStream(captured, true, "UTF-8"));
        Method load = Class.forName("org.apache.flink.configuration.GlobalConfiguration").getMethod("loadConfiguration", String.class);
        Class<?> conf = Class.forName("org.apache.flink.configuration.Configuration");
        Method toMap = conf.getMethod("toMap");
        Field data = conf.getDeclaredField("confData");
        data.setAccessible(true);
        Class<?> command = Class.forName("org.apache.flink.runtime.util.bash.BashJavaUtils$Command");
        Method run = Class.forName("org.apache.flink.runtime.util.bash.BashJavaUtils").getDeclaredMethod("runCommand", command, String[].class);
        run.setAccessible(true);
        Object flatten = null;
        for (Object o : command.getEnumConstants()) if (o.toString().equals("UPDATE_AND_GET_FLINK_CONFIGURATION")) flatten = o;
        Path dir = Files.createTempDirectory("conf-oracle");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line; (line = in.readLine()) != null; ) {
            String[] parts = line.split(" ", -1);
            Path file = dir.resolve(parts[0]);
            Files.write(file, Base64.getDecoder().decode(parts[1]));
            captured.reset();
            resetAnchors();
            StringJoiner j = new StringJoiner(",", "{", "}");
            boolean failed = false;
            try {
                Object c = load.invoke(null, dir.toString());
                @SuppressWarnings("unchecked")
                Map<String, String> map = (Map<String, String>) toMap.invoke(c);
                j.add("\"map\":" + object(new TreeMap<>(map)));
                Map<String, String> types = new TreeMap<>();
                for (Map.Entry<?, ?> e : ((Map<?, ?>) data.get(c)).entrySet()) types.put((String) e.getKey(), e.getValue().getClass().getSimpleName());
                j.add("\"types\":" + object(types));
            } catch (Throwable t) {
                failed = true;
                j.add("\"error\":" + array(chain(t, dir.toString())));
            }
            List<String> log = new ArrayList<>();
            for (String l : captured.toString("UTF-8").split("\n")) if (!l.trim().isEmpty() && !l.startsWith("\tat ")) log.add(l.replace(dir.toString(), "<CONF>"));
            j.add("\"log\":" + array(log));
            if (flatten != null && !failed) {
                resetAnchors();
                try {
                    List<String> lines = new ArrayList<>();
                    for (Object o : (List<?>) run.invoke(null, flatten, new String[] {"--configDir", dir.toString(), "-flatten"})) lines.add(String.valueOf(o));
                    j.add("\"flatten\":" + array(lines));
                } catch (Throwable t) {
                    j.add("\"flattenError\":" + array(chain(t, dir.toString())));
                }
            }
            out.println(j);
            Files.delete(file);
        }
        Files.delete(dir);
    }
}
