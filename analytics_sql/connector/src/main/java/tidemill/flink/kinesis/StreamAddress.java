package tidemill.flink.kinesis;

import java.io.Serializable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which stream, and where it is called.
 *
 * @param arn the stream's ARN
 * @param region the region that calls are signed for
 * @param endpoint the endpoint's URL; null for AWS's own
 */
public record StreamAddress(String arn, String region, String endpoint) implements Serializable {
    private static final Pattern ARN = Pattern.compile("arn:aws[a-z-]*:kinesis:([a-z0-9-]+):[0-9]{12}:stream/[a-zA-Z0-9_.-]{1,128}");

    /** The region in a stream's ARN; null if the text is no stream's ARN. */
    public static String regionOf(String arn) {
        Matcher found = ARN.matcher(arn);
        return found.matches() ? found.group(1) : null;
    }
}
