import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringReader;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.apache.calcite.config.Lex;
import org.apache.calcite.sql.SqlNode;
import org.apache.calcite.sql.SqlNodeList;
import org.apache.calcite.sql.SqlOperator;
import org.apache.calcite.sql.SqlOperatorTable;
import org.apache.calcite.sql.SqlSyntax;
import org.apache.calcite.sql.parser.SqlAbstractParserImpl;
import org.apache.calcite.sql.parser.SqlParseException;
import org.apache.calcite.sql.parser.SqlParser;
import org.apache.flink.sql.parser.impl.FlinkSqlParserImpl;
import org.apache.flink.sql.parser.impl.FlinkSqlParserImplConstants;
import org.apache.flink.sql.parser.impl.FlinkSqlParserImplTokenManager;
import org.apache.flink.sql.parser.impl.ParseException;
import org.apache.flink.sql.parser.impl.SimpleCharStream;
import org.apache.flink.sql.parser.impl.Token;
import org.apache.flink.sql.parser.validate.FlinkSqlConformance;

/**
 * What Flink's own parser makes of SQL text. One request per line on standard input, one answer per
 * line on standard output, fields separated by blanks, texts in base64:
 *
 * <pre>
 *   lex TEXT    T|E  then  kind:beginLine:beginColumn:endLine:endColumn ...   (E: a lexical error followed)
 *   split TEXT  OK n  then  class:beginLine:beginColumn:endLine:endColumn ... | ERR message
 *   set TEXT    SET key value | PLAIN | RESET key | RESETALL | NO            (Flink's two ways to read it)
 *   words       WORD:reserved | WORD:keyword | WORD:function ...
 *   chars       two strings of 65536 digits: may the character start / continue an identifier
 * </pre>
 *
 * The class path holds the planner itself, not the loader that hides it.
 */
public class SqlOracle {
  public static void main(String[] args) throws Exception {
    PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false, "UTF-8");
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line; (line = in.readLine()) != null; ) {
      int blank = line.indexOf(' ');
      String command = blank < 0 ? line : line.substring(0, blank);
      String text = blank < 0 ? "" : new String(Base64.getDecoder().decode(line.substring(blank + 1)), StandardCharsets.UTF_8);
      switch (command) {
        case "lex": out.println(lex(text)); break;
        case "split": out.println(split(text)); break;
        case "set": out.println(guarded(text)); break;
        case "words": out.println(words()); break;
        case "chars": out.println(chars()); break;
        default: throw new IllegalArgumentException(command);
      }
      out.flush();
    }
  }

  static String encode(String s) {
    return "=" + Base64.getEncoder().encodeToString(String.valueOf(s).getBytes(StandardCharsets.UTF_8));
  }

  static FlinkSqlParserImplTokenManager tokens(String text) {
    SimpleCharStream stream = new SimpleCharStream(new StringReader(text));
    try {
      Method m = SimpleCharStream.class.getDeclaredMethod("setTabSize", int.class);
      m.setAccessible(true);
      m.invoke(stream, 1);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
    FlinkSqlParserImplTokenManager m = new FlinkSqlParserImplTokenManager(stream);
    m.SwitchTo(constant("BTID"));
    return m;
  }

  /** Read at run time, because javac inlines the value of the version it compiles against. */
  static int constant(String name) {
    try {
      return FlinkSqlParserImplConstants.class.getField(name).getInt(null);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  static String lex(String text) {
    StringBuilder b = new StringBuilder();
    try {
      FlinkSqlParserImplTokenManager m = tokens(text);
      while (true) {
        Token t = m.getNextToken();
        List<Token> special = new ArrayList<>();
        for (Token s = t.specialToken; s != null; s = s.specialToken) special.add(0, s);
        for (Token s : special) token(b, "C", s);
        if (t.kind == constant("EOF")) return "T" + b;
        token(b, kind(t.kind), t);
      }
    } catch (Error e) {
      return "E" + b;
    }
  }

  static void token(StringBuilder b, String kind, Token t) {
    b.append(' ').append(kind).append(':').append(t.beginLine).append(':').append(t.beginColumn)
        .append(':').append(t.endLine).append(':').append(t.endColumn);
  }

  static String kind(int k) {
    String image = FlinkSqlParserImplConstants.tokenImage[k];
    switch (image) {
      case "<IDENTIFIER>": return "W";
      case "<COLLATION_ID>": return "COLLATION";
      case "<BACK_QUOTED_IDENTIFIER>": case "<UNICODE_QUOTED_IDENTIFIER>": return "Q";
      case "<QUOTED_STRING>": case "<PREFIXED_STRING_LITERAL>": case "<UNICODE_STRING_LITERAL>":
      case "<BINARY_STRING_LITERAL>": case "<C_STYLE_ESCAPED_STRING_LITERAL>": return "S";
      case "<UNICODE_QUOTED_ESCAPE_CHAR>": return "QUOTE"; // ''' alone: else a QUOTED_STRING is longer or first
      case "<UNSIGNED_INTEGER_LITERAL>": case "<APPROX_NUMERIC_LITERAL>": case "<DECIMAL_NUMERIC_LITERAL>": return "N";
      case "\"/*+\"": return "H";
      case "\"*/\"": return "h";
      case "\"\\'\"": return "QUOTE";
      default:
        return image.matches("\"[A-Z][A-Z0-9_]*\"") ? "W" : "Y";
    }
  }

  static SqlParser parser(String text) {
    return SqlParser.create(
        text,
        SqlParser.config()
            .withParserFactory(FlinkSqlParserImpl.FACTORY)
            .withConformance(FlinkSqlConformance.DEFAULT)
            .withLex(Lex.JAVA)
            .withIdentifierMaxLength(256));
  }

  /** The list parser's own loop, statement by statement, so that first and last token are known. */
  static String split(String text) {
    StringBuilder b = new StringBuilder();
    int n = 0;
    try {
      SqlNodeList list = parser(text).parseStmtList();
      Field f = SqlParser.class.getDeclaredField("parser");
      f.setAccessible(true);
      FlinkSqlParserImpl p = (FlinkSqlParserImpl) f.get(parser(text));
      while (p.getToken(1).kind != constant("EOF")) {
        if (p.getToken(1).kind == constant("SEMICOLON")) {
          p.getNextToken();
          continue;
        }
        Token first = p.getToken(1);
        SqlNode node = p.SqlStmt();
        Token last = p.getToken(0);
        n++;
        b.append(' ').append(node.getClass().getSimpleName()).append(':').append(node.getKind())
            .append(':').append(first.beginLine).append(':').append(first.beginColumn)
            .append(':').append(last.endLine).append(':').append(last.endColumn);
      }
      if (n != list.size()) throw new IllegalStateException("the list parser found " + list.size() + ", the loop " + n);
      return "OK " + n + b;
    } catch (SqlParseException | ParseException e) {
      return "ERR " + encode(e.getMessage());
    } catch (Exception e) {
      return "ERR " + encode(e.toString());
    }
  }

  static String guarded(String text) throws Exception {
    try {
      return set(text);
    } catch (InvocationTargetException e) {
      return "NO"; // e.g. a binary literal where Flink casts to a string
    }
  }

  static String set(String text) throws Exception {
    Optional<?> op = extended(text);
    if (op.isPresent()) return operation(op.get());
    SqlNode node;
    try {
      SqlNodeList list = parser(text).parseStmtList();
      if (list.size() != 1) return "NO";
      node = list.get(0);
    } catch (SqlParseException e) {
      return "NO";
    }
    switch (node.getClass().getSimpleName()) {
      case "SqlSet": {
        Object k = call(node, "getKeyString"), v = call(node, "getValueString");
        return k == null ? "PLAIN" : "SET " + encode((String) k) + " " + encode((String) v);
      }
      case "SqlReset": {
        Object k = call(node, "getKeyString");
        return k == null ? "RESETALL" : "RESET " + encode((String) k);
      }
      default: return "NO";
    }
  }

  static Optional<?> extended(String text) throws Exception {
    Class<?> c = Class.forName("org.apache.flink.table.planner.parse.ExtendedParser");
    Object parser = c.getField("INSTANCE").get(null);
    return (Optional<?>) c.getMethod("parse", String.class).invoke(parser, text);
  }

  static String operation(Object op) throws Exception {
    switch (op.getClass().getSimpleName()) {
      case "SetOperation": {
        Optional<?> k = (Optional<?>) call(op, "getKey"), v = (Optional<?>) call(op, "getValue");
        return k.isPresent() ? "SET " + encode((String) k.get()) + " " + encode((String) v.get()) : "PLAIN";
      }
      case "ResetOperation": {
        Optional<?> k = (Optional<?>) call(op, "getKey");
        return k.isPresent() ? "RESET " + encode((String) k.get()) : "RESETALL";
      }
      default: return "NO";
    }
  }

  static Object call(Object target, String method) throws Exception {
    Method m = target.getClass().getMethod(method);
    m.setAccessible(true);
    try {
      return m.invoke(target);
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof NullPointerException) return null;
      throw e;
    }
  }

  /** What the parser knows as keywords, and the functions that are called by their names. */
  static String words() throws Exception {
    Set<String> words = new TreeSet<>();
    SqlAbstractParserImpl.Metadata metadata = parser("").getMetadata();
    for (String token : metadata.getTokens()) {
      if (token.matches("[A-Z][A-Z0-9_]+")) words.add(token + ":" + (metadata.isReservedWord(token) ? "reserved" : "keyword"));
    }
    Class<?> table = Class.forName("org.apache.flink.table.planner.functions.sql.FlinkSqlOperatorTable");
    for (SqlOperator o : ((SqlOperatorTable) table.getMethod("instance", boolean.class).invoke(null, false)).getOperatorList()) {
      function(words, o.getName(), o.getSyntax() == SqlSyntax.FUNCTION || o.getSyntax() == SqlSyntax.FUNCTION_STAR || o.getSyntax() == SqlSyntax.FUNCTION_ID);
    }
    Class<?> builtIn = Class.forName("org.apache.flink.table.functions.BuiltInFunctionDefinitions");
    for (Object f : (List<?>) builtIn.getMethod("getDefinitions").invoke(null)) {
      function(words, (String) call(f, "getName"), !(Boolean) call(f, "isInternal") && ((Optional<?>) call(f, "getRuntimeClass")).isPresent());
    }
    return String.join(" ", words);
  }

  static void function(Set<String> words, String name, boolean called) {
    if (called && name.toUpperCase(Locale.ROOT).matches("[A-Z][A-Z0-9_]*")) words.add(name.toUpperCase(Locale.ROOT) + ":function");
  }

  static String chars() {
    StringBuilder start = new StringBuilder(), part = new StringBuilder();
    for (int c = 0; c < 65536; c++) {
      start.append(is("" + (char) c, 1) ? '1' : '0');
      part.append(is("a" + (char) c, 2) ? '1' : '0');
    }
    return start + " " + part;
  }

  static boolean is(String text, int length) {
    try {
      Token t = tokens(text).getNextToken();
      return FlinkSqlParserImplConstants.tokenImage[t.kind].equals("<IDENTIFIER>") && t.image.length() == length
          || FlinkSqlParserImplConstants.tokenImage[t.kind].matches("\"[A-Z$]\"") && length == 1 && t.image.length() == 1;
    } catch (Error e) {
      return false;
    }
  }
}
