package flinkentrypoint;

import flinkentrypoint.mock.ExactRows;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.ResultKind;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableException;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.ValidationException;

/**
 * Runs the statements of a SQL script in the order an index gives, on Flink 1.13 to 2.3.
 *
 * <p>Arguments: {@code run|local|check|session SCRIPT INDEX}. {@code run} is the main of an application cluster: what goes
 * wrong is thrown, so that the cluster ends with Flink's exit code. {@code local} runs in this process until
 * all jobs have ended and exits with 0 or 1. {@code check} plans instead of running and reports every error.
 * With {@code session} SCRIPT and INDEX are the texts themselves: it is the main of a job for a session cluster, which runs in the
 * JobManager, submits the job and does not wait for its end, since a web submission has no result. What goes wrong is thrown as
 * one exception with the statement and the reason: Flink drops what is printed.
 *
 * <p>Or the one argument {@code serve}: stdin then has requests, each a line {@code MODE LENGTH LENGTH}, and the bytes of a script and of
 * its index. The modes are {@code local}, after which the process exits; {@code check}; {@code ask}, which reports what the index
 * asks for and ignores every error; and {@code warm}, which runs as local does, shows nothing, and reports
 * {@code ready REASON}: empty, or why the script failed. After {@code local}, the character U+001E and {@code ended} say that the script
 * came to its end. The end of stdin is the end of the process.
 *
 * <p>The script is never lexed here. The index, made by internal/sqlrunner, has lines of fields separated by tabs:
 *
 * <pre>
 * conf    KEY VALUE                          configuration for the creation of the environment
 * mask    TEXT                               a secret in one of its spellings: never to be shown
 * batch                                      batch mode, and each job ends before the next statement
 * set     LINE COLUMN LABEL KEY VALUE        SET
 * reset   LINE COLUMN LABEL KEY              RESET; without KEY all
 * submit  LINE COLUMN LABEL                  execute the statement set
 * KIND    LINE COLUMN LABEL START END        any other statement: position and name for people, bytes of the script
 * </pre>
 *
 * KIND: {@code insert} (joins the statement set), {@code query} (printed as a table, or see {@link ExactRows}), {@code plan} (explained only), {@code ctas}
 * (likewise, where Flink can),
 * {@code compare} (explained as the real connectors would have it, which is only reported), {@code run} (executed), {@code ddl} (SHOW CREATE, reported as {@code ddl LABEL TEXT}). In fields, {@code \t \n \r \\} are escapes.
 */
public final class SqlRunner {

    /** Lets flinkentrypoint.mock.MockConnector behave as the real connectors to the planner. */
    private static final String REAL = "flinkentrypoint.real";

    /** The reader of the output is a program: rows of queries are printed by a class of the mock connector's jar. */
    private static final boolean EXACT = Boolean.getBoolean("flinkentrypoint.exact");

    private static final Pattern POSITION = Pattern.compile("line (\\d+), column (\\d+)");

    private static final Pattern DETAILS = Pattern.compile("(Unsupported options|Missing required options are):\\s+(\\S+\\R?)+|Query schema: .*\\R.*schema: .*");

    private static final class Statement {
        String kind;
        String[] fields;
        String text; // SQL
        int line;
        int column;
        String label;

        @Override
        public String toString() {
            return label + ", line " + line;
        }
    }

    /** An exception whose texts were cleaned of secrets; prints as the one that it replaces. */
    private static final class Cleaned extends RuntimeException {
        private static final long serialVersionUID = 1;

        Cleaned(String text, Throwable cause) {
            super(text, cause);
        }

        @Override
        public String toString() {
            return getMessage();
        }
    }

    private final boolean local;
    private final boolean check;
    private final boolean ask;
    private final boolean session;
    private final List<Statement> statements = new ArrayList<>();
    private final List<String> masks = new ArrayList<>();
    private final Map<String, String> conf = new HashMap<>();
    private boolean batch;
    private boolean quiet; // says nothing on stderr

    private TableEnvironment env;
    private Configuration initial;
    private StatementSet set;
    private final List<Statement> inserts = new ArrayList<>();
    private final Map<CompletableFuture<?>, Statement> jobs = new LinkedHashMap<>();

    private SqlRunner(String mode) {
        ask = mode.equals("ask");
        check = ask || mode.equals("check");
        local = check || mode.equals("local");
        session = mode.equals("session");
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 1 && args[0].equals("serve")) {
            end(serve());
        }
        if (args.length != 3) {
            throw new IllegalArgumentException("expected: run|local|check|session SCRIPT INDEX, or serve, got " + args.length + " arguments");
        }
        SqlRunner runner = new SqlRunner(args[0]);
        if (runner.session) {
            runner.read(args[1].getBytes(StandardCharsets.UTF_8), args[2]);
        } else {
            runner.read(Files.readAllBytes(Paths.get(args[1])), new String(Files.readAllBytes(Paths.get(args[2])), StandardCharsets.UTF_8));
        }
        if (!runner.local) {
            runner.run();
            return;
        }
        end(runner.perform());
    }

    /** Threads of the local cluster would keep the process alive. */
    private static void end(int status) {
        System.out.flush();
        System.err.flush();
        System.exit(status);
    }

    /** Takes requests until one was to run a script, or until they end. Returns the exit status of the last one. */
    private static int serve() throws IOException {
        InputStream requests = System.in;
        System.setIn(new ByteArrayInputStream(new byte[0])); // of no use to a script
        int status = 0;
        for (String head = line(requests); head != null; head = line(requests)) {
            String[] f = head.split(" ");
            SqlRunner runner = new SqlRunner(f[0].equals("warm") ? "local" : f[0]);
            byte[] script = bytes(requests, Integer.parseInt(f[1]));
            runner.read(script, new String(bytes(requests, Integer.parseInt(f[2])), StandardCharsets.UTF_8));
            if (f[0].equals("warm")) {
                runner.warm();
                continue;
            }
            status = runner.perform();
            if (f[0].equals("local")) {
                System.out.println("\u001eended"); // code of a script may end the process, too
                break;
            }
            System.out.flush();
        }
        return status;
    }

    /** The next line of the requests, null at their end. */
    private static String line(InputStream from) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = from.read(); c != '\n'; c = from.read()) {
            if (c < 0) {
                return null;
            }
            line.append((char) c);
        }
        return line.toString();
    }

    private static byte[] bytes(InputStream from, int length) throws IOException {
        byte[] all = new byte[length];
        new DataInputStream(from).readFully(all);
        return all;
    }

    /** Runs a script for what it loads, without what it prints, and tells when that is done. */
    private void warm() {
        PrintStream out = System.out;
        System.setOut(new PrintStream(new OutputStream() {
            @Override
            public void write(int b) {
                // nowhere
            }
        }));
        String failure = "";
        try {
            quiet = true;
            run();
        } catch (Throwable t) {
            failure = mask(t.toString()).replaceAll("\\s+", " ");
        }
        System.setOut(out);
        System.out.println("ready\t" + failure);
        System.out.flush();
    }

    private int perform() {
        try {
            if (check) {
                return check() ? 0 : 1;
            }
            run();
            return 0;
        } catch (Throwable t) {
            System.err.print(mask(trace(t)));
            return 1;
        }
    }

    private void read(byte[] script, String index) throws IOException {
        for (String row : index.split("\n")) {
            String[] f = row.split("\t", -1);
            switch (f[0]) {
                case "conf":
                    conf.put(text(f[1]), text(f[2]));
                    break;
                case "mask":
                    masks.add(text(f[1]));
                    break;
                case "batch":
                    batch = true;
                    break;
                default:
                    Statement s = new Statement();
                    s.kind = f[0];
                    s.fields = f;
                    s.line = Integer.parseInt(f[1]);
                    s.column = Integer.parseInt(f[2]);
                    s.label = text(f[3]);
                    if (!s.kind.equals("set") && f.length == 6) {
                        int start = Integer.parseInt(f[4]);
                        s.text = new String(script, start, Integer.parseInt(f[5]) - start, StandardCharsets.UTF_8);
                    }
                    statements.add(s);
            }
        }
        masks.sort((a, b) -> b.length() - a.length());
    }

    private static String text(String field) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < field.length(); i++) {
            char c = field.charAt(i);
            if (c == '\\') {
                c = field.charAt(++i);
                c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
            }
            out.append(c);
        }
        return out.toString();
    }

    private void create() {
        EnvironmentSettings.Builder settings = EnvironmentSettings.newInstance();
        settings = batch ? settings.inBatchMode() : settings.inStreamingMode();
        Configuration late = new Configuration();
        if (!conf.isEmpty()) {
            try {
                settings = settings.withConfiguration(Configuration.fromMap(conf));
            } catch (NoSuchMethodError e) { // before 1.15
                late = Configuration.fromMap(conf);
            }
        }
        env = TableEnvironment.create(settings.build());
        env.getConfig().getConfiguration().addAll(late);
        initial = env.getConfig().getConfiguration().clone();
        set = env.createStatementSet();
    }

    private void run() throws Exception {
        create();
        for (Statement s : statements) {
            try {
                execute(s);
            } catch (Throwable t) {
                Statement at = s.kind.equals("submit") ? culprit(s, t) : s;
                if (session) {
                    Cleaned cleaned = new Cleaned(at + ": " + reason(t, at), null);
                    cleaned.setStackTrace(t.getStackTrace());
                    throw cleaned;
                }
                say(at, t);
                throw thrown(t);
            }
        }
        awaitAll(); // as the cluster does anyway, but to name the reason
    }

    private void execute(Statement s) throws Exception {
        switch (s.kind) {
            case "set":
                env.getConfig().getConfiguration().setString(text(s.fields[4]), text(s.fields[5]));
                break;
            case "reset":
                reset(s.fields.length > 4 ? text(s.fields[4]) : null);
                break;
            case "insert":
                set.addInsertSql(s.text);
                inserts.add(s);
                break;
            case "submit":
                submitted(set.execute(), s);
                inserts.clear();
                break;
            case "plan":
                plan(s);
                break;
            case "compare":
                compare(s);
                break;
            case "ctas":
                try {
                    plan(s);
                } catch (TableException e) {
                    if (!String.valueOf(e.getMessage()).startsWith("Unsupported")) { // a form that Flink cannot explain
                        throw e;
                    }
                }
                break;
            case "ddl":
                String ddl = String.valueOf(env.executeSql(s.text).collect().next().getField(0));
                System.out.println("ddl\t" + s.label + "\t" + ddl.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r"));
                break;
            default:
                TableResult result = env.executeSql(s.text);
                if (result.getJobClient().isPresent() && !s.kind.equals("query")) {
                    submitted(result, s);
                } else if (result.getResultKind() == ResultKind.SUCCESS_WITH_CONTENT && !check) {
                    if (EXACT && s.kind.equals("query")) {
                        ExactRows.print(result);
                    } else {
                        result.print();
                    }
                }
        }
    }

    private void plan(Statement s) {
        if (s.text.regionMatches(true, 0, "EXECUTE", 0, 7)) {
            env.executeSql("EXPLAIN" + s.text.substring(7)); // the same length: positions stay
        } else {
            env.explainSql(s.text);
        }
    }

    /** Reports on stderr that the statement, which can be run here, is one that Flink refuses with the real connectors. */
    private void compare(Statement s) {
        System.setProperty(REAL, "true");
        try {
            plan(s);
        } catch (Throwable real) {
            System.clearProperty(REAL);
            try {
                plan(s);
            } catch (Throwable mocked) {
                return; // the run will report it
            }
            System.err.println("refused: " + s + ": " + reason(real, s));
        } finally {
            System.clearProperty(REAL);
        }
    }

    /** RESET gives a key, or all, the value from before the script. */
    private void reset(String only) {
        Configuration now = env.getConfig().getConfiguration();
        for (String key : now.toMap().keySet()) {
            if (only == null || only.equals(key)) {
                now.removeConfig(ConfigOptions.key(key).stringType().noDefaultValue());
            }
        }
        for (Map.Entry<String, String> e : initial.toMap().entrySet()) {
            if (only == null || only.equals(e.getKey())) {
                now.setString(e.getKey(), e.getValue());
            }
        }
    }

    private void submitted(TableResult result, Statement s) throws Exception {
        JobClient client = result.getJobClient().orElse(null);
        if (client == null) {
            return;
        }
        if (!quiet) {
            System.err.println(s + ": job " + client.getJobID() + " submitted");
        }
        if (session) {
            return;
        }
        if (!batch) {
            jobs.put(client.getJobExecutionResult(), s);
            return;
        }
        try {
            client.getJobExecutionResult().get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception ? (Exception) e.getCause() : e;
        }
    }

    /** Waits until all jobs have ended; says at once which has failed. */
    private void awaitAll() throws Exception {
        for (Map.Entry<CompletableFuture<?>, Statement> job : jobs.entrySet()) {
            job.getKey().exceptionally(t -> {
                say(job.getValue(), t);
                return null;
            });
        }
        try {
            CompletableFuture.allOf(jobs.keySet().toArray(new CompletableFuture<?>[0])).get();
        } catch (ExecutionException e) {
            throw thrown(e.getCause());
        }
    }

    private boolean check() {
        System.setProperty(REAL, String.valueOf(!ask));
        create();
        boolean good = true;
        Set<String> reported = new HashSet<>(); // a statement may be planned twice
        for (Statement s : statements) {
            try {
                execute(s);
            } catch (Throwable t) {
                good = false;
                if (ask || !reported.add(s.label)) { // asked for: it comes again, at its place
                    continue;
                }
                System.out.println("error\t" + s.line + "\t" + s.column + "\t" + s.label + "\t" + reason(t, s));
            }
        }
        System.out.println("checked\t" + statements.size());
        return good;
    }

    /** The INSERT that made the statement set fail: the one that cannot be planned alone for the same reason. */
    private Statement culprit(Statement submit, Throwable t) {
        for (Throwable c = t; c != null && inserts.size() > 1; c = c.getCause()) {
            if (c instanceof ValidationException || c instanceof TableException) {
                for (Statement s : inserts) {
                    try {
                        env.explainSql(s.text);
                    } catch (Throwable alone) {
                        if (reason(alone, s).equals(reason(t, s))) {
                            return s;
                        }
                    }
                }
                break;
            }
        }
        return submit;
    }

    /** Says on stderr what went wrong where. */
    private void say(Statement s, Throwable t) {
        if (quiet) {
            return;
        }
        for (Throwable c = t; c != null; c = c.getCause()) {
            // A standby meets a job that has ended, or the cluster ends the program: no failures.
            if (c.getClass().getSimpleName().equals("DuplicateJobSubmissionException") || c instanceof InterruptedException) {
                return;
            }
        }
        System.err.println("error: " + s + ": " + reason(t, s));
    }

    /** What to throw: t itself, unless it would show a secret. */
    private Exception thrown(Throwable t) {
        boolean flinks = false; // Flink looks for these in what the main throws
        for (Throwable c = t; c != null; c = c.getCause()) {
            String name = c.getClass().getName();
            flinks |= name.startsWith("org.apache.flink.client.deployment.application.") || name.startsWith("org.apache.flink.runtime.client.");
        }
        String trace = trace(t);
        if (!flinks && !mask(trace).equals(trace)) {
            return cleaned(t, 0);
        }
        return t instanceof Exception ? (Exception) t : new ExecutionException(t);
    }

    private Cleaned cleaned(Throwable t, int depth) {
        if (t == null || depth > 50) {
            return null;
        }
        Cleaned c = new Cleaned(mask(t.toString()), cleaned(t.getCause(), depth + 1));
        c.setStackTrace(t.getStackTrace());
        return c;
    }

    /** Flink's reason in one line: the first paragraphs of the messages of the chain, positions counted in the script. */
    private String reason(Throwable t, Statement s) {
        String all = "";
        Throwable last = t;
        for (Throwable c = t; c != null; c = c.getCause()) {
            last = c;
            String m = c.getMessage();
            if (m == null) {
                continue;
            }
            m = (m.split("\\R\\s*\\R|\\R\\s*Was expecting")[0] + details(m)).replaceAll("\\s+", " ").trim();
            m = m.replaceAll("^(SQL (validation|parse) failed\\. )+", "");
            if (m.indexOf(' ') < 0) {
                m = c.getClass().getSimpleName() + ": " + m; // e.g. the name of a class that was not found
            }
            if (!all.contains(m)) {
                all = all.isEmpty() || m.contains(all) ? m : all + (all.endsWith(".") ? " " : ": ") + m;
            }
        }
        if (last.getMessage() == null) {
            all = all.isEmpty() ? last.getClass().getName() : all + ": " + last.getClass().getName();
        }
        StringBuffer out = new StringBuffer();
        Matcher m = POSITION.matcher(all);
        while (m.find()) {
            int line = Integer.parseInt(m.group(1));
            int column = Integer.parseInt(m.group(2));
            m.appendReplacement(out, "line " + (s.line + line - 1) + ", column " + (line == 1 ? s.column + column - 1 : column));
        }
        return mask(m.appendTail(out).toString());
    }

    /** What a message lists after its first paragraph, where it is short and not the value of an option: names of options, schemas. */
    private static String details(String message) {
        Matcher m = DETAILS.matcher(message);
        return m.find() ? " " + m.group() : "";
    }

    private String mask(String text) {
        for (String secret : masks) {
            text = text.replace(secret, "******");
        }
        return text;
    }

    private static String trace(Throwable t) {
        StringWriter out = new StringWriter();
        t.printStackTrace(new PrintWriter(out, true));
        return out.toString();
    }
}
