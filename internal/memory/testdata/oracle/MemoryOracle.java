import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/**
 * Evaluates many calls of Flink's BashJavaUtils in one JVM.
 *
 * <p>Class path: this class, bin/bash-java-utils.jar, lib/flink-dist.jar. Argument: a conf dir to write to. Input: one case per line,
 * fields separated by tabs: role (tm, jm; or size, duration: the third field is parsed as such), name of the conf file, its content, arguments, environment. The last two are lists; items
 * end with a semicolon. In all fields \s is a semicolon, \t \n \r \\ as usual. Output: one JSON object per case: jvm, dynamic, error
 * (exception chain, "class: message"), log (lines as BashJavaUtils prints them).
 */
public final class MemoryOracle {
    public static void main(String[] args) throws Exception {
        Path confDir = Paths.get(args[0]);
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        ByteArrayOutputStream captured = new ByteArrayOutputStream();
        System.setOut(new PrintStream(captured, true, "UTF-8")); // before log4j looks for it

        Class<?> utils = Class.forName("org.apache.flink.runtime.util.bash.BashJavaUtils");
        Class<?> command = Class.forName("org.apache.flink.runtime.util.bash.BashJavaUtils$Command");
        Method run = utils.getDeclaredMethod("runCommand", command, String[].class);
        run.setAccessible(true);
        Object tm = command.getMethod("valueOf", String.class).invoke(null, "GET_TM_RESOURCE_PARAMS");
        Object jm = command.getMethod("valueOf", String.class).invoke(null, "GET_JM_RESOURCE_PARAMS");
        Map<String, String> environment = environment();

        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String[] fields = line.split("\t", -1);
            if (fields[0].equals("duration") || fields[0].equals("size")) {
                out.println(parse(fields[0], unescape(fields[2])));
                continue;
            }
            for (String name : new String[] {"flink-conf.yaml", "config.yaml"}) {
                Files.deleteIfExists(confDir.resolve(name));
            }
            Files.write(confDir.resolve(fields[1]), unescape(fields[2]).getBytes(StandardCharsets.UTF_8));
            List<String> arguments = new ArrayList<>();
            arguments.add("--configDir");
            arguments.add(confDir.toString());
            arguments.addAll(list(fields[3]));
            environment.remove("FLINK_TM_HEAP");
            environment.remove("FLINK_JM_HEAP");
            for (String variable : list(fields[4])) {
                int at = variable.indexOf('=');
                environment.put(variable.substring(0, at), variable.substring(at + 1));
            }
            captured.reset();
            List<String> result = Collections.emptyList();
            List<String> chain = new ArrayList<>();
            try {
                Object output = run.invoke(null, fields[0].equals("jm") ? jm : tm, arguments.toArray(new String[0]));
                result = new ArrayList<>();
                for (Object o : (List<?>) output) {
                    result.add((String) o);
                }
            } catch (InvocationTargetException e) {
                for (Throwable t = e.getCause(); t != null; t = t.getCause()) {
                    chain.add(t.getClass().getName() + ": " + t.getMessage());
                }
            }
            List<String> log = new ArrayList<>();
            for (String l : new String(captured.toByteArray(), StandardCharsets.UTF_8).split("\n", -1)) {
                if (!l.isEmpty()) {
                    log.add(l.replace(confDir.toString(), "$CONF"));
                }
            }
            out.println("{\"jvm\":" + json(result.isEmpty() ? "" : result.get(0))
                    + ",\"dynamic\":" + json(result.isEmpty() ? "" : result.get(1))
                    + ",\"error\":" + json(chain) + ",\"log\":" + json(log) + "}");
        }
    }

    /** TimeUtils.parseDuration (seconds and nanoseconds), or MemorySize.parse (both ways of printing). */
    private static String parse(String what, String text) throws Exception {
        List<String> chain = new ArrayList<>();
        String first = "";
        String second = "";
        try {
            if (what.equals("size")) {
                Class<?> size = Class.forName("org.apache.flink.configuration.MemorySize");
                Object o = size.getMethod("parse", String.class).invoke(null, text);
                first = o.toString();
                second = (String) size.getMethod("toHumanReadableString").invoke(o);
            } else {
                java.time.Duration d = (java.time.Duration) Class.forName("org.apache.flink.util.TimeUtils")
                        .getMethod("parseDuration", String.class).invoke(null, text);
                first = d.getSeconds() + " " + d.getNano();
            }
        } catch (InvocationTargetException e) {
            for (Throwable t = e.getCause(); t != null; t = t.getCause()) {
                chain.add(t.getClass().getName() + ": " + t.getMessage());
            }
        }
        return "{\"jvm\":" + json(first) + ",\"dynamic\":" + json(second) + ",\"error\":" + json(chain) + ",\"log\":[]}";
    }

    /** The map behind System.getenv, writable. */
    @SuppressWarnings("unchecked")
    private static Map<String, String> environment() throws Exception {
        Map<String, String> view = System.getenv();
        Field field = view.getClass().getDeclaredField("m");
        field.setAccessible(true);
        return (Map<String, String>) field.get(view);
    }

    private static List<String> list(String field) {
        List<String> items = new ArrayList<>();
        int start = 0;
        for (int end; (end = field.indexOf(';', start)) >= 0; start = end + 1) {
            items.add(unescape(field.substring(start, end)));
        }
        return items;
    }

    private static String unescape(String s) {
        StringBuilder b = new StringBuilder();
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '\\') {
                c = s.charAt(++i);
                c = c == 's' ? ';' : c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
            }
            b.append(c);
        }
        return b.toString();
    }

    private static String json(List<String> items) {
        StringBuilder b = new StringBuilder("[");
        for (String s : items) {
            b.append(b.length() > 1 ? "," : "").append(json(s));
        }
        return b.append(']').toString();
    }

    private static String json(String s) {
        StringBuilder b = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\' || c < ' ' || c > '~') {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        return b.append('"').toString();
    }
}
