package flinkentrypoint.platform;

import java.net.MalformedURLException;
import java.net.URI;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Map;
import java.util.UUID;
import org.apache.flink.configuration.Configuration;

/**
 * The platform of this JVM: keys of Flink's configuration, which internal/sqlrunner writes.
 *
 * <p>Flink hands its cluster's configuration to every file system factory before any program of a user runs. That one
 * applies to the whole life of the JVM: a later configuration is a job's, and a job must not choose where the token goes.
 */
final class Settings {

    private static Settings ours;

    final String run;
    final URL events;
    final Path tokenFile;
    final URI archive;
    final boolean highAvailability;

    /** Which life of the run's JobManager this is, as the platform calls it, or by three things in which no two processes of one machine agree. */
    final String attempt;

    private Settings(Map<String, String> keys) {
        run = keys.getOrDefault("flink-entrypoint.run", "");
        events = url(keys.getOrDefault("flink-entrypoint.events.url", ""));
        tokenFile = Paths.get(keys.getOrDefault("flink-entrypoint.events.bearer-file", ""));
        archive = URI.create(keys.getOrDefault("jobmanager.archive.fs.dir", ""));
        String kind = keys.getOrDefault("high-availability.type", keys.getOrDefault("high-availability", "NONE"));
        highAvailability = !kind.trim().equalsIgnoreCase("NONE");
        String given = keys.getOrDefault("flink-entrypoint.attempt", "");
        attempt = given.isEmpty() ? attempt() : given;
    }

    /** The settings of this JVM. Those that come first win; a cluster without a platform has empty ones. */
    static synchronized Settings of(Configuration c) {
        if (ours == null) {
            ours = new Settings(c.toMap());
        }
        return ours;
    }

    boolean complete() {
        return !run.isEmpty() && events != null && !tokenFile.toString().isEmpty();
    }

    private static URL url(String text) {
        try {
            return text.isEmpty() ? null : new URL(text);
        } catch (MalformedURLException e) {
            return null; // internal/sqlrunner has checked it
        }
    }

    /** The first 8 characters of the boot id, the process id, and the start in clock ticks since boot; see proc(5). */
    private static String attempt() {
        try {
            String boot = text("/proc/sys/kernel/random/boot_id").trim();
            String stat = text("/proc/self/stat");
            // The name of the program is in brackets and may hold blanks and brackets: the rest starts with field 3.
            String[] rest = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            return boot.substring(0, 8) + "-" + stat.substring(0, stat.indexOf(' ')) + "-" + rest[22 - 3];
        } catch (Exception e) { // another system than Linux, or /proc is hidden
            return UUID.randomUUID().toString();
        }
    }

    private static String text(String file) throws Exception {
        return new String(Files.readAllBytes(Paths.get(file)), StandardCharsets.UTF_8);
    }
}
