package flinkentrypoint.platform;

import java.io.IOException;
import java.net.URI;
import java.util.Objects;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystemFactory;

/**
 * Makes {@code jobmanager.archive.fs.dir: flink-platform://HOST:PORT/PATH} the platform's {@code http://HOST:PORT/PATH};
 * with {@code flink-platforms} it is https. Flink finds both on the class path, on every version.
 */
public class ArchiveFactory implements FileSystemFactory {

    static final String SCHEME = "flink-platform";

    private final String scheme;
    private Settings settings;

    public ArchiveFactory() {
        this(SCHEME);
    }

    ArchiveFactory(String scheme) {
        this.scheme = scheme;
    }

    /** The same with https. */
    public static final class Secure extends ArchiveFactory {
        public Secure() {
            super(SCHEME + "s");
        }
    }

    @Override
    public String getScheme() {
        return scheme;
    }

    @Override
    public void configure(Configuration configuration) {
        settings = Settings.of(configuration);
    }

    /** Only the directory that the cluster's configuration names: no other server may get the token. */
    @Override
    public FileSystem create(URI uri) throws IOException {
        if (settings == null || !settings.complete() || !scheme.equals(settings.archive.getScheme())
                || !Objects.equals(settings.archive.getAuthority(), uri.getAuthority())) {
            throw new IOException(uri + " is not below jobmanager.archive.fs.dir, or flink-entrypoint.run and the other keys of a platform are not set");
        }
        return new ArchiveFileSystem(settings);
    }
}
