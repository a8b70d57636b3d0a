package flinkentrypoint.mock;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.catalog.ObjectIdentifier;
import org.apache.flink.table.catalog.ResolvedCatalogTable;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.RuntimeConverter;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.abilities.SupportsPartitioning;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.LookupTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.abilities.SupportsWatermarkPushDown;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.functions.TableFunction;
import org.apache.flink.table.types.DataType;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;

/**
 * The connector {@code flink-entrypoint-mock}: a table that is read and written as one of Flink's own connectors does ({@code mock.of}), but that
 * tells the planner which changes the real connector makes and takes, so that the planner judges a query as on a cluster.
 *
 * <p>That holds while the system property {@code flinkentrypoint.real} is true, which SqlRunner sets. Otherwise every change is taken and
 * only inserts are made: a query that the real connector refuses runs.
 *
 * <pre>
 * mock.of              the connector that makes or shows the rows: datagen, print
 * mock.changes         the changes: "+I -U +U -D" or some of them; "requested", or "requested -U" for all that are asked for but -U
 * mock.watermarks      the real connector makes the watermarks itself, which the planner's messages show
 * mock.lookup          lookup joins can be planned; none finds a row
 * mock.conflicts       an INSERT has ON CONFLICT, which the planner takes for an upsert sink alone: the changes hold always
 * mock.refusal         why the real connector refuses the table
 * mock.update-refusal  why the real connector refuses updates and deletes
 * mock.exact           print writes rows that a program can read, see {@link Exact}
 * </pre>
 *
 * <p>internal/mock writes the options. The class is in a jar of its own, which a cluster never gets.
 */
public final class MockConnector implements DynamicTableSourceFactory, DynamicTableSinkFactory {

    private static final String REAL = "flinkentrypoint.real";

    private static final String PREFIX = "mock.";

    /** Up to 1.20, and from 2.0 on. */
    private static final List<String> PROVIDERS = Arrays.asList(
            "org.apache.flink.table.connector.source.TableFunctionProvider", "org.apache.flink.table.legacy.connector.source.TableFunctionProvider");

    @Override
    public String factoryIdentifier() {
        return "flink-entrypoint-mock";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Collections.emptySet();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Collections.emptySet();
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        Map<String, String> options = checked(context);
        DynamicTableSourceFactory of = FactoryUtil.discoverFactory(context.getClassLoader(), DynamicTableSourceFactory.class, options.get("mock.of"));
        return Source.of((ScanTableSource) of.createDynamicTableSource(new Inner(context)), options);
    }

    @Override
    public DynamicTableSink createDynamicTableSink(Context context) {
        Map<String, String> options = checked(context);
        DynamicTableSinkFactory of = FactoryUtil.discoverFactory(context.getClassLoader(), DynamicTableSinkFactory.class, options.get("mock.of"));
        return new Sink(of.createDynamicTableSink(new Inner(context)), options);
    }

    private static boolean real() {
        return Boolean.getBoolean(REAL);
    }

    private static Map<String, String> checked(Context context) {
        Map<String, String> options = context.getCatalogTable().getOptions();
        String refusal = options.get("mock.refusal");
        if (real() && refusal != null) {
            throw new ValidationException(refusal);
        }
        return options;
    }

    private static ChangelogMode changes(String text, ChangelogMode requested) {
        boolean all = text.startsWith("requested");
        ChangelogMode.Builder mode = ChangelogMode.newBuilder();
        for (RowKind kind : RowKind.values()) {
            boolean named = text.contains(kind.shortString());
            if (all ? requested.contains(kind) && !named : named) {
                mode.addContainedKind(kind);
            }
        }
        return mode.build();
    }

    /** The table as the replacing connector sees it. */
    private static final class Inner implements DynamicTableFactory.Context {
        private final DynamicTableFactory.Context outer;
        private final ResolvedCatalogTable table;

        Inner(DynamicTableFactory.Context outer) {
            this.outer = outer;
            Map<String, String> options = new HashMap<>(outer.getCatalogTable().getOptions());
            options.put("connector", options.get("mock.of"));
            options.keySet().removeIf(key -> key.startsWith(PREFIX));
            table = outer.getCatalogTable().copy(options);
        }

        @Override
        public ObjectIdentifier getObjectIdentifier() {
            return outer.getObjectIdentifier();
        }

        @Override
        public ResolvedCatalogTable getCatalogTable() {
            return table;
        }

        @Override
        public ReadableConfig getConfiguration() {
            return outer.getConfiguration();
        }

        @Override
        public ClassLoader getClassLoader() {
            return outer.getClassLoader();
        }

        @Override
        public boolean isTemporary() {
            return outer.isTemporary();
        }
    }

    private static class Source implements ScanTableSource {
        private final ScanTableSource of;
        private final Map<String, String> options;

        private Source(ScanTableSource of, Map<String, String> options) {
            this.of = of;
            this.options = options;
        }

        static Source of(ScanTableSource of, Map<String, String> options) {
            if (options.containsKey("mock.lookup")) {
                return new LookupSource(of, options);
            }
            return real() && options.containsKey("mock.watermarks") ? new WatermarkSource(of, options) : new Source(of, options);
        }

        @Override
        public ChangelogMode getChangelogMode() {
            return real() ? changes(options.get("mock.changes"), null) : of.getChangelogMode();
        }

        @Override
        public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            return of.getScanRuntimeProvider(context);
        }

        @Override
        public DynamicTableSource copy() {
            return of((ScanTableSource) of.copy(), options);
        }

        @Override
        public String asSummaryString() {
            return of.asSummaryString();
        }
    }

    /** Only planned: it makes no watermarks. */
    private static final class WatermarkSource extends Source implements SupportsWatermarkPushDown {
        WatermarkSource(ScanTableSource of, Map<String, String> options) {
            super(of, options);
        }

        @Override
        public void applyWatermark(WatermarkStrategy<RowData> strategy) {}
    }

    private static final class LookupSource extends Source implements LookupTableSource {
        LookupSource(ScanTableSource of, Map<String, String> options) {
            super(of, options);
        }

        @Override
        public LookupRuntimeProvider getLookupRuntimeProvider(LookupContext context) {
            for (String name : PROVIDERS) {
                try {
                    return (LookupRuntimeProvider) Class.forName(name).getMethod("of", TableFunction.class).invoke(null, new NoRows());
                } catch (ClassNotFoundException e) {
                    continue; // of another version
                } catch (ReflectiveOperationException e) {
                    throw new IllegalStateException(e);
                }
            }
            throw new IllegalStateException("this Flink has none of " + PROVIDERS);
        }
    }

    /** A lookup that finds nothing. */
    public static final class NoRows extends TableFunction<RowData> {
        private static final long serialVersionUID = 1;

        public void eval(Object... keys) {}
    }

    private static final class Sink implements DynamicTableSink, SupportsPartitioning {
        private final DynamicTableSink of;
        private final Map<String, String> options;

        Sink(DynamicTableSink of, Map<String, String> options) {
            this.of = of;
            this.options = options;
        }

        @Override
        public ChangelogMode getChangelogMode(ChangelogMode requested) {
            if (!real() && !options.containsKey("mock.conflicts")) {
                return requested;
            }
            String refusal = options.get("mock.update-refusal");
            if (real() && refusal != null && !requested.containsOnly(RowKind.INSERT)) {
                throw new ValidationException(refusal);
            }
            return changes(options.get("mock.changes"), requested);
        }

        @Override
        public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
            return of.getSinkRuntimeProvider(options.containsKey("mock.exact") ? Exact.in(context, options.get("print-identifier")) : context);
        }

        @Override
        public void applyStaticPartition(Map<String, String> partition) {
            if (of instanceof SupportsPartitioning) {
                ((SupportsPartitioning) of).applyStaticPartition(partition);
            }
        }

        @Override
        public DynamicTableSink copy() {
            return new Sink(of.copy(), options);
        }

        @Override
        public String asSummaryString() {
            return of.asSummaryString();
        }
    }

    /**
     * Rows that a program can read: {@code IDENTIFIER> +I["1","a, b",null]}, each column as the text that print writes for it. Before the first
     * one comes {@code IDENTIFIER> =["id","name"]}, the names of the columns.
     *
     * <p>print writes what the converter of its context makes of a row, so it is enough to give it another one.
     */
    private static final class Exact implements DynamicTableSink.DataStructureConverter {
        private static final long serialVersionUID = 1;

        private final DynamicTableSink.DataStructureConverter of;
        private final String names;
        private boolean named;

        private Exact(DynamicTableSink.DataStructureConverter of, String names) {
            this.of = of;
            this.names = names;
        }

        static DynamicTableSink.Context in(DynamicTableSink.Context context, String identifier) {
            return (DynamicTableSink.Context) Proxy.newProxyInstance(Exact.class.getClassLoader(), new Class<?>[] {DynamicTableSink.Context.class}, (proxy, method, arguments) -> {
                Object made;
                try {
                    made = method.invoke(context, arguments);
                } catch (InvocationTargetException e) {
                    throw e.getCause();
                }
                if (!method.getName().equals("createDataStructureConverter")) {
                    return made;
                }
                List<String> names = DataType.getFieldNames((DataType) arguments[0]);
                return new Exact((DynamicTableSink.DataStructureConverter) made, identifier + "> =" + ExactRows.json(names));
            });
        }

        @Override
        public void open(RuntimeConverter.Context context) {
            of.open(context);
        }

        @Override
        public Object toExternal(Object internal) {
            Object external = of.toExternal(internal);
            if (!(external instanceof Row)) {
                return external;
            }
            if (!named) {
                named = true;
                System.out.println(names);
            }
            Row row = (Row) external;
            List<String> cells = new ArrayList<>();
            for (int i = 0; i < row.getArity(); i++) {
                cells.add(text(row.getField(i), row.getArity()));
            }
            return row.getKind().shortString() + ExactRows.json(cells);
        }

        /** What print writes for a column; null for NULL. */
        private static String text(Object value, int columns) {
            if (value == null) {
                return null;
            }
            if (value instanceof String) {
                return ExactRows.cut((String) value, columns);
            }
            String alone = Row.of(value).toString();
            return ExactRows.cut(alone.substring("+I[".length(), alone.length() - "]".length()), columns);
        }
    }
}
