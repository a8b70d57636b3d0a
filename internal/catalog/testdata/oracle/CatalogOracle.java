import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.internal.TableEnvironmentInternal;
import org.apache.flink.table.catalog.CatalogBaseTable;
import org.apache.flink.table.catalog.ObjectPath;
import org.apache.flink.table.operations.LoadModuleOperation;
import org.apache.flink.table.operations.Operation;
import org.apache.flink.table.operations.UseCatalogOperation;
import org.apache.flink.table.operations.UseDatabaseOperation;
import org.apache.flink.table.operations.UseModulesOperation;
import org.apache.flink.table.operations.command.ResetOperation;
import org.apache.flink.table.operations.command.SetOperation;
import org.apache.flink.table.operations.ddl.CreateCatalogFunctionOperation;
import org.apache.flink.table.operations.ddl.CreateCatalogOperation;
import org.apache.flink.table.operations.ddl.CreateTempSystemFunctionOperation;

/**
 * What a real table environment makes of SQL statements. One request per line, one answer per line, texts in
 * base64:
 *
 * <pre>
 *   parse TEXT  what the planner's parser read, as a list of texts | ERR message
 *   exec TEXT   OK | ERR messages of the exception chain
 *   table TEXT  runs it, then lists the options of default_database.t as the catalog keeps them
 *   new         a fresh environment
 * </pre>
 */
public class CatalogOracle {
  public static void main(String[] args) throws Exception {
    PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false, "UTF-8");
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    TableEnvironment env = fresh();
    for (String line; (line = in.readLine()) != null; ) {
      int blank = line.indexOf(' ');
      String command = blank < 0 ? line : line.substring(0, blank);
      String text = blank < 0 ? "" : new String(Base64.getDecoder().decode(line.substring(blank + 1)), StandardCharsets.UTF_8);
      List<String> answer = new ArrayList<>();
      try {
        switch (command) {
          case "new":
            env = fresh();
            answer.add("OK");
            break;
          case "parse":
            parse(env, text, answer);
            break;
          case "exec":
            env.executeSql(text);
            answer.add("OK");
            break;
          case "table":
            env.executeSql(text);
            CatalogBaseTable t = env.getCatalog(env.getCurrentCatalog()).get().getTable(new ObjectPath(env.getCurrentDatabase(), "t"));
            answer.add("TABLE");
            answer.add(t.getComment());
            options(answer, t.getOptions());
            env.executeSql("DROP TABLE t");
            break;
          default:
            throw new IllegalArgumentException(command);
        }
      } catch (Throwable e) {
        answer.clear();
        answer.add("ERR");
        for (Throwable c = e; c != null; c = c.getCause()) answer.add(c.getClass().getName() + ": " + c.getMessage());
      }
      StringBuilder b = new StringBuilder();
      for (String a : answer) {
        b.append(b.length() == 0 ? "" : " ").append('=').append(Base64.getEncoder().encodeToString(String.valueOf(a).getBytes(StandardCharsets.UTF_8)));
      }
      out.println(b);
      out.flush();
    }
  }

  static TableEnvironment fresh() {
    return TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().build());
  }

  static void parse(TableEnvironment env, String text, List<String> answer) throws Exception {
    Operation op = ((TableEnvironmentInternal) env).getParser().parse(text).get(0);
    answer.add(op.getClass().getSimpleName());
    if (op instanceof SetOperation) {
      answer.add(((SetOperation) op).getKey().get());
      answer.add(((SetOperation) op).getValue().get());
    } else if (op instanceof ResetOperation) {
      answer.add(((ResetOperation) op).getKey().get());
    } else if (op instanceof CreateCatalogOperation) {
      CreateCatalogOperation c = (CreateCatalogOperation) op;
      answer.add(c.getCatalogName());
      options(answer, c.getProperties());
    } else if (op instanceof LoadModuleOperation) {
      answer.add(((LoadModuleOperation) op).getModuleName());
      options(answer, moduleOptions(op));
    } else if (op instanceof UseModulesOperation) {
      answer.addAll(((UseModulesOperation) op).getModuleNames());
    } else if (op instanceof UseCatalogOperation) {
      answer.add(((UseCatalogOperation) op).getCatalogName());
    } else if (op instanceof UseDatabaseOperation) {
      answer.add(((UseDatabaseOperation) op).getCatalogName());
      answer.add(((UseDatabaseOperation) op).getDatabaseName());
    } else if (op.getClass().getSimpleName().equals("AddJarOperation")) { // not in 1.13
      answer.add((String) op.getClass().getMethod("getPath").invoke(op));
    } else if (op instanceof CreateTempSystemFunctionOperation) {
      answer.add(((CreateTempSystemFunctionOperation) op).getFunctionName());
    } else if (op instanceof CreateCatalogFunctionOperation) {
      CreateCatalogFunctionOperation f = (CreateCatalogFunctionOperation) op;
      answer.addAll(Arrays.asList(f.getFunctionIdentifier().getCatalogName(), f.getFunctionIdentifier().getDatabaseName(), f.getFunctionIdentifier().getObjectName()));
      answer.add(f.getCatalogFunction().getClassName());
    }
  }

  @SuppressWarnings("unchecked")
  static Map<String, String> moduleOptions(Operation load) throws Exception {
    try {
      return (Map<String, String>) load.getClass().getMethod("getOptions").invoke(load);
    } catch (NoSuchMethodException e) { // 1.13
      return (Map<String, String>) load.getClass().getMethod("getProperties").invoke(load);
    }
  }

  static void options(List<String> answer, Map<String, String> options) {
    new TreeMap<>(options).forEach((k, v) -> {
      answer.add(k);
      answer.add(v);
    });
  }
}
