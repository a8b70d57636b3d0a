package flinkentrypoint.platform;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import org.apache.flink.core.fs.BlockLocation;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystemKind;
import org.apache.flink.core.fs.Path;

/**
 * The directory of a run's archives at the platform, as Flink's archivist sees it: files can be created, and nothing
 * else. Nothing is asked of the platform before a file is complete.
 */
final class ArchiveFileSystem extends FileSystem {

    private final Settings settings;

    ArchiveFileSystem(Settings settings) {
        this.settings = settings;
    }

    @Override
    public FSDataOutputStream create(Path path, WriteMode mode) throws IOException {
        return new Upload(settings, target(path), mode == WriteMode.NO_OVERWRITE);
    }

    /**
     * The URL of an archive: the URL of the directory, and the job's id. Since 2.3 Flink's name of it is longer,
     * CLUSTER/applications/APPLICATION/jobs/JOB, and .../APPLICATION/application-summary is about the whole application.
     */
    private URL target(Path path) throws IOException {
        URI root = settings.archive.normalize();
        String directory = root.getPath().endsWith("/") ? root.getPath() : root.getPath() + "/";
        if (!path.toUri().normalize().getPath().startsWith(directory)) {
            throw new IOException(path + " is not below " + root);
        }
        String name = path.getName();
        if (name.equals("application-summary")) {
            name = "applications/" + path.getParent().getName();
        }
        String protocol = root.getScheme().equals(ArchiveFactory.SCHEME) ? "http" : "https";
        return new URL(protocol + "://" + root.getAuthority() + directory + name);
    }

    @Override
    public URI getUri() {
        return URI.create(settings.archive.getScheme() + "://" + settings.archive.getAuthority());
    }

    @Override
    public Path getWorkingDirectory() {
        return new Path(settings.archive);
    }

    @Override
    public Path getHomeDirectory() {
        return getWorkingDirectory();
    }

    @Override
    public FileStatus getFileStatus(Path path) throws IOException {
        throw new FileNotFoundException(path + ": the platform's archives can only be written");
    }

    @Override
    public BlockLocation[] getFileBlockLocations(FileStatus file, long start, long length) {
        return new BlockLocation[0];
    }

    @Override
    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        return open(path);
    }

    @Override
    public FSDataInputStream open(Path path) throws IOException {
        throw new FileNotFoundException(path + ": the platform's archives can only be written");
    }

    @Override
    public FileStatus[] listStatus(Path path) {
        return new FileStatus[0];
    }

    /** Called for an archive that could not be written, which is not there then. */
    @Override
    public boolean delete(Path path, boolean recursive) {
        return false;
    }

    @Override
    public boolean mkdirs(Path path) {
        return true;
    }

    @Override
    public boolean rename(Path from, Path to) throws IOException {
        throw new IOException(from + ": the platform's archives cannot be renamed");
    }

    @Override
    public boolean isDistributedFS() {
        return true;
    }

    // Abstract before 2.0, and unknown since then: no @Override.
    @SuppressWarnings("deprecation")
    public FileSystemKind getKind() {
        return FileSystemKind.OBJECT_STORE;
    }
}
