package flinkentrypoint.mock;

import java.util.Arrays;
import java.util.List;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.internal.TableResultInternal;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.utils.print.RowDataToStringConverter;
import org.apache.flink.util.CloseableIterator;

/**
 * Rows that a program can read, instead of those for people, in which strings have no quotes and long ones are cut: JSON with ASCII alone,
 * each column as the text that Flink prints for it, null for NULL.
 */
public final class ExactRows {

    /** A line must not be longer than its reader takes, 256 KiB; an escaped character has six bytes. */
    private static final int MOST = 40_000;

    private ExactRows() {}

    /**
     * Prints the rows of a query as they come: the character U+001E, {@code columns}, a tab and the names; then, for each row, U+001E,
     * {@code row}, a tab, its kind and its columns.
     */
    public static void print(TableResult result) throws Exception {
        System.out.println("\u001ecolumns\t" + json(result.getResolvedSchema().getColumnNames()));
        TableResultInternal internal = (TableResultInternal) result;
        RowDataToStringConverter texts = internal.getRowDataToStringConverter();
        CloseableIterator<RowData> rows = internal.collectInternal();
        try {
            while (rows.hasNext()) {
                RowData row = rows.next();
                String[] cells = texts.convert(row);
                for (int i = 0; i < cells.length; i++) {
                    cells[i] = row.isNullAt(i) ? null : cut(cells[i], cells.length);
                }
                System.out.println("\u001erow\t" + row.getRowKind().shortString() + json(Arrays.asList(cells)));
            }
        } finally {
            rows.close();
        }
    }

    /** A text of a row of so many columns; one that is too long says so. */
    static String cut(String text, int columns) {
        int most = Math.max(MOST / columns, 64);
        return text.length() <= most ? text : text.substring(0, most) + "\u2026 (" + text.length() + " characters)";
    }

    static String json(List<String> texts) {
        StringBuilder out = new StringBuilder();
        for (String text : texts) {
            out.append(out.length() == 0 ? '[' : ',');
            if (text == null) {
                out.append("null");
                continue;
            }
            out.append('"');
            for (char c : text.toCharArray()) {
                if (c < ' ' || c > '~') {
                    out.append(String.format("\\u%04x", (int) c));
                } else {
                    out.append(c == '"' || c == '\\' ? "\\" : "").append(c);
                }
            }
            out.append('"');
        }
        return out.append(out.length() == 0 ? "[]" : "]").toString();
    }
}
