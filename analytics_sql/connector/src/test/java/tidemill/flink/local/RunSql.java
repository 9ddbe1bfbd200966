package tidemill.flink.local;

import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Runs statements of Flink SQL in this process, until it is ended: for the tests against the local platform.
 *
 * <pre>  RunSql FILE [OPTION=VALUE …]  </pre>
 *
 * <p>The file's statements are separated by empty lines. The options are Flink's. It prints "running" once all are
 * submitted.
 */
public final class RunSql {
    private RunSql() {}

    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        for (int place = 1; place < arguments.length; place++) {
            String[] parts = arguments[place].split("=", 2);
            configuration.setString(parts[0], parts[1]);
        }
        TableEnvironment tables =
                TableEnvironment.create(
                        EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
        for (String statement : Files.readString(Path.of(arguments[0])).split("\n\n")) {
            tables.executeSql(statement);
        }
        System.out.println("running");
        Thread.currentThread().join();
    }
}
