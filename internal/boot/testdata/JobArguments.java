import java.util.Properties;
import org.apache.commons.cli.CommandLine;
import org.apache.commons.cli.DefaultParser;
import org.apache.flink.runtime.entrypoint.parser.ParserResultFactory;

/** Prints what Flink's own parser makes of the arguments of standalone-job: address, port, class, then the job's arguments. */
public class JobArguments {
    public static void main(String[] args) throws Exception {
        var type = Class.forName("org.apache.flink.container.entrypoint.StandaloneApplicationClusterConfigurationParserFactory").getDeclaredConstructor();
        type.setAccessible(true);
        CommandLine line = new DefaultParser().parse(((ParserResultFactory<?>) type.newInstance()).getOptions(), args, true);
        Properties dynamic = line.getOptionProperties("D");
        // ClusterEntrypoint.loadConfiguration: the options are stronger than -D.
        System.out.println("address " + line.getOptionValue("h", dynamic.getProperty("jobmanager.rpc.address", "")));
        System.out.println("port " + line.getOptionValue("r", dynamic.getProperty("rest.port", "")));
        System.out.println("class " + line.getOptionValue("j", ""));
        for (String arg : line.getArgs()) {
            System.out.println("argument " + arg);
        }
    }
}
