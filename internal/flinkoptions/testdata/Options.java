import java.io.File;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;

/** Prints the options that the jars of a Flink home declare: "OLD key new" per deprecated key, "KEY key [deprecated]" per option. */
public class Options {
    private static final String NAMES = "org/apache/flink/.*(Options?|Configs?|Option\\w*|Config\\w*|\\w*Keys)(\\$\\w+)?\\.class";

    public static void main(String[] args) throws Exception {
        List<File> jars = new ArrayList<>();
        List<URL> urls = new ArrayList<>();
        for (String dir : new String[] {"lib", "opt"}) {
            for (File f : new File(args[0], dir).listFiles((d, name) -> name.endsWith(".jar"))) {
                jars.add(f);
                urls.add(f.toURI().toURL());
            }
        }
        ClassLoader loader = new URLClassLoader(urls.toArray(new URL[0]));
        Class<?> option = loader.loadClass("org.apache.flink.configuration.ConfigOption");
        Method key = option.getMethod("key"), fallbackKeys = option.getMethod("fallbackKeys");
        Set<String> lines = new TreeSet<>();
        for (File jar : jars) {
            for (JarEntry entry : Collections.list(new JarFile(jar).entries())) {
                String name = entry.getName();
                if (!name.matches(NAMES) || name.contains("/shaded/")) {
                    continue;
                }
                try {
                    for (Field field : Class.forName(name.substring(0, name.length() - 6).replace('/', '.'), true, loader).getDeclaredFields()) {
                        if (!Modifier.isStatic(field.getModifiers()) || !option.isAssignableFrom(field.getType())) {
                            continue;
                        }
                        field.setAccessible(true);
                        Object o = field.get(null);
                        if (o == null) {
                            continue;
                        }
                        lines.add("KEY " + key.invoke(o) + (field.isAnnotationPresent(Deprecated.class) ? " deprecated" : ""));
                        for (Object fallback : (Iterable<?>) fallbackKeys.invoke(o)) {
                            if ((Boolean) fallback.getClass().getMethod("isDeprecated").invoke(fallback)) {
                                lines.add("OLD " + fallback.getClass().getMethod("getKey").invoke(fallback) + " " + key.invoke(o));
                            }
                        }
                    }
                } catch (Throwable missing) {
                    // Some optional dependency of that class is not in the distribution.
                }
            }
        }
        lines.forEach(System.out::println);
    }
}
