package tidemill.flink.source;

import java.io.Serializable;
import java.util.List;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;

/** Makes rows of user records. */
public interface RecordDecoder<T> extends Serializable, ResultTypeQueryable<T> {
    /** Called once, before the first record. */
    void open(DeserializationSchema.InitializationContext context) throws Exception;

    /**
     * Adds the record's rows.
     *
     * @throws Exception the record cannot be read
     */
    void decode(Element.Arrival record, List<T> rows) throws Exception;
}
