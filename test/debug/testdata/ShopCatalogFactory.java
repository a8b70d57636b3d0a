import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.catalog.Catalog;
import org.apache.flink.table.catalog.CatalogBaseTable;
import org.apache.flink.table.catalog.CatalogDatabase;
import org.apache.flink.table.catalog.CatalogTable;
import org.apache.flink.table.catalog.CatalogView;
import org.apache.flink.table.catalog.GenericInMemoryCatalog;
import org.apache.flink.table.catalog.ObjectPath;
import org.apache.flink.table.factories.CatalogFactory;

/** A catalog that has tables before anybody creates one, as a metastore does, and notes whatever would change it. */
public final class ShopCatalogFactory implements CatalogFactory {
    private static final ConfigOption<String> JOURNAL = ConfigOptions.key("journal").stringType().noDefaultValue();

    @Override
    public String factoryIdentifier() {
        return "shop";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return new HashSet<>(Collections.singleton(JOURNAL));
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return new HashSet<>();
    }

    @Override
    public Catalog createCatalog(Context context) {
        return new Shop(context.getName(), Paths.get(context.getOptions().get("journal")));
    }

    private static final class Shop extends GenericInMemoryCatalog {
        private final Path journal;
        private boolean ready;

        Shop(String name, Path journal) {
            super(name, "main");
            this.journal = journal;
        }

        @Override
        public void open() {
            super.open();
            Map<String, String> orders = new HashMap<>();
            String[][] columns = {
                {"id", "BIGINT NOT NULL", null}, {"customer", "VARCHAR(2147483647)", null}, {"amount", "DECIMAL(10, 2)", null},
                {"part", "INT", "partition"}, {"at", "TIMESTAMP(3) WITH LOCAL TIME ZONE", "timestamp"}
            };
            for (int i = 0; i < columns.length; i++) {
                orders.put("schema." + i + ".name", columns[i][0]);
                orders.put("schema." + i + ".data-type", columns[i][1]);
                if (columns[i][2] != null) {
                    orders.put("schema." + i + ".metadata", columns[i][2]);
                    orders.put("schema." + i + ".virtual", String.valueOf(i == 3));
                }
            }
            orders.put("schema.watermark.0.rowtime", "at");
            orders.put("schema.watermark.0.strategy.expr", "`at` - INTERVAL '5' SECOND");
            orders.put("schema.watermark.0.strategy.data-type", "TIMESTAMP(3) WITH LOCAL TIME ZONE");
            orders.put("schema.primary-key.name", "key");
            orders.put("schema.primary-key.columns", "id");
            orders.put("connector", "kafka");
            orders.put("topic", "it's; \\orders\n--");
            orders.put("properties.sasl.jaas.config", "password=\"canary\"");
            try {
                createTable(new ObjectPath("main", "orders"), CatalogTable.fromProperties(orders), false);
                String query = "SELECT `customer`, `amount`, `part` FROM `" + getName() + "`.`main`.`orders` WHERE `amount` > 0";
                Schema schema = Schema.newBuilder().column("customer", "STRING").column("amount", "DECIMAL(10, 2)").column("part", "INT").build();
                createTable(new ObjectPath("main", "paid"), CatalogView.of(schema, null, query, query, new HashMap<>()), false);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
            ready = true;
        }

        private void note(String what) {
            if (!ready) {
                return;
            }
            try {
                Files.write(journal, (what + "\n").getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        }

        @Override
        public void createTable(ObjectPath path, CatalogBaseTable table, boolean ignore) throws
                org.apache.flink.table.catalog.exceptions.TableAlreadyExistException,
                org.apache.flink.table.catalog.exceptions.DatabaseNotExistException {
            note("CREATE TABLE " + path);
            super.createTable(path, table, ignore);
        }

        @Override
        public void dropTable(ObjectPath path, boolean ignore) throws org.apache.flink.table.catalog.exceptions.TableNotExistException {
            note("DROP TABLE " + path);
            super.dropTable(path, ignore);
        }

        @Override
        public void createDatabase(String name, CatalogDatabase database, boolean ignore) throws
                org.apache.flink.table.catalog.exceptions.DatabaseAlreadyExistException {
            note("CREATE DATABASE " + name);
            super.createDatabase(name, database, ignore);
        }
    }
}
