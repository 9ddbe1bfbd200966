package tidemill.flink.source;

import java.io.Serializable;
import java.util.Map;
import org.apache.flink.api.common.eventtime.WatermarkGeneratorSupplier;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SupportsSplitReassignmentOnRecovery;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.util.UserCodeClassLoader;
import org.apache.flink.util.clock.RelativeClock;
import org.apache.flink.util.clock.SystemClock;
import tidemill.flink.kinesis.Opening;

/** A stream of Kinesis as a source (FLIP-27), exactly once by checkpoints. README.md says what it guarantees. */
public final class KinesisSource<T>
        implements Source<T, ShardSplit, EnumeratorState>, ResultTypeQueryable<T>, SupportsSplitReassignmentOnRecovery {
    private static final long serialVersionUID = 1L;

    /**
     * The settings.
     *
     * @param discoveryMillis between listings of the shards, in milliseconds
     */
    public record Settings(Beginning beginning, long discoveryMillis, ReadingPace pace, ReadLimits limits)
            implements Serializable {}

    private final Opening opening;
    private final Settings settings;
    private final RecordDecoder<T> decoder;
    private final Watermarks<T> watermarks;

    public KinesisSource(
            Opening opening, Settings settings, RecordDecoder<T> decoder, Watermarks<T> watermarks) {
        this.watermarks = watermarks;
        this.opening = opening;
        this.settings = settings;
        this.decoder = decoder;
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SourceReader<T, ShardSplit> createReader(SourceReaderContext context) throws Exception {
        decoder.open(new DecoderContext(context));
        Signal signal = new Signal();
        ReadMetrics metrics = new ReadMetrics(context.metricGroup());
        Drains drains = new Drains();
        Emission<T> emission =
                new Emission<>(
                        decoder,
                        settings.limits().failsOnUnreadable(),
                        metrics.unreadable,
                        context.metricGroup().getIOMetricGroup().getNumRecordsInCounter(),
                        shard -> drains.to.drained(shard));
        ShardReader<T> reader =
                new ShardReader<>(
                        () -> new ShardReading(opening.open(), settings.pace(), settings.limits(), metrics, signal),
                        emission,
                        context.getConfiguration(),
                        context,
                        () -> watermarks.create(new WatermarkContext(context)),
                        signal);
        drains.to = reader;
        return reader;
    }

    /** The emission is made before the reader that it tells of drained shards. */
    private static final class Drains {
        private ShardReader<?> to;
    }

    @Override
    public SplitEnumerator<ShardSplit, EnumeratorState> createEnumerator(SplitEnumeratorContext<ShardSplit> context) {
        return restoreEnumerator(context, new EnumeratorState(false, Map.of()));
    }

    @Override
    public SplitEnumerator<ShardSplit, EnumeratorState> restoreEnumerator(
            SplitEnumeratorContext<ShardSplit> context, EnumeratorState state) {
        return new ShardEnumerator(context, opening.open(), settings.beginning(), settings.discoveryMillis(), state);
    }

    @Override
    public SimpleVersionedSerializer<ShardSplit> getSplitSerializer() {
        return new ShardStates.OfSplits();
    }

    @Override
    public SimpleVersionedSerializer<EnumeratorState> getEnumeratorCheckpointSerializer() {
        return new ShardStates.OfShards();
    }

    @Override
    public TypeInformation<T> getProducedType() {
        return decoder.getProducedType();
    }

    private record WatermarkContext(SourceReaderContext reader) implements WatermarkGeneratorSupplier.Context {
        @Override
        public MetricGroup getMetricGroup() {
            return reader.metricGroup();
        }

        @Override
        public RelativeClock getInputActivityClock() {
            return SystemClock.getInstance();
        }
    }

    private record DecoderContext(SourceReaderContext reader) implements DeserializationSchema.InitializationContext {
        @Override
        public MetricGroup getMetricGroup() {
            return reader.metricGroup().addGroup("deserializer");
        }

        @Override
        public UserCodeClassLoader getUserCodeClassLoader() {
            return reader.getUserCodeClassLoader();
        }
    }
}
