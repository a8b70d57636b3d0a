package probe;

import java.net.Socket;
import java.util.Collections;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.catalog.Catalog;
import org.apache.flink.table.catalog.GenericInMemoryCatalog;
import org.apache.flink.table.catalog.exceptions.CatalogException;
import org.apache.flink.table.factories.CatalogFactory;

/** Makes catalogs that call a host when they are opened, and send it a password. */
public class ProbeCatalogFactory implements CatalogFactory {

    private static final String IDENTIFIER = "probe";

    @Override
    public String factoryIdentifier() {
        return IDENTIFIER;
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        Set<ConfigOption<?>> options = new HashSet<>();
        for (String name : new String[] {"host", "port", "password"}) {
            options.add(ConfigOptions.key(name).stringType().noDefaultValue());
        }
        return options;
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Collections.emptySet();
    }

    @Override
    public Catalog createCatalog(Context context) {
        Map<String, String> options = context.getOptions();
        return new GenericInMemoryCatalog(context.getName()) {
            @Override
            public void open() {
                try (Socket s = new Socket(options.get("host"), Integer.parseInt(options.get("port")))) {
                    s.getOutputStream().write(options.get("password").getBytes("UTF-8"));
                    s.shutdownOutput();
                    if (s.getInputStream().read() != '+') {
                        throw new CatalogException("the host says no");
                    }
                } catch (java.io.IOException e) {
                    throw new CatalogException("cannot connect to " + options.get("host") + ":" + options.get("port"), e);
                }
            }
        };
    }
}
