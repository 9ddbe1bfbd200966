package tidemill.flink.source;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import tidemill.flink.kinesis.Position;

/** The bytes of checkpoints: of a reader's splits and of the enumerator's shards. */
final class ShardStates {
    static final int VERSION = 1;

    private ShardStates() {}

    /** Of a split. */
    static final class OfSplits implements SimpleVersionedSerializer<ShardSplit> {
        @Override
        public int getVersion() {
            return VERSION;
        }

        @Override
        public byte[] serialize(ShardSplit split) throws IOException {
            return written(out -> {
                out.writeUTF(split.shard());
                write(out, split.position());
            });
        }

        @Override
        public ShardSplit deserialize(int version, byte[] bytes) throws IOException {
            DataInputStream in = opened(version, bytes);
            return new ShardSplit(in.readUTF(), readPosition(in));
        }
    }

    /** Of what the enumerator knows: its shards by their names; null before it has listed them. */
    static final class OfShards implements SimpleVersionedSerializer<EnumeratorState> {
        @Override
        public int getVersion() {
            return VERSION;
        }

        @Override
        public byte[] serialize(EnumeratorState state) throws IOException {
            return written(out -> {
                out.writeBoolean(state.hasListed());
                out.writeInt(state.shards().size());
                for (Map.Entry<String, ShardGraph.Entry> one : state.shards().entrySet()) {
                    out.writeUTF(one.getKey());
                    out.writeInt(one.getValue().parents().size());
                    for (String parent : one.getValue().parents()) {
                        out.writeUTF(parent);
                    }
                    out.writeUTF(one.getValue().status().name());
                    write(out, one.getValue().start());
                }
            });
        }

        @Override
        public EnumeratorState deserialize(int version, byte[] bytes) throws IOException {
            DataInputStream in = opened(version, bytes);
            boolean hasListed = in.readBoolean();
            Map<String, ShardGraph.Entry> shards = new LinkedHashMap<>();
            for (int left = in.readInt(); left > 0; left--) {
                String shard = in.readUTF();
                List<String> parents = new ArrayList<>();
                for (int more = in.readInt(); more > 0; more--) {
                    parents.add(in.readUTF());
                }
                ShardGraph.Status status = ShardGraph.Status.valueOf(in.readUTF());
                shards.put(shard, new ShardGraph.Entry(List.copyOf(parents), status, readPosition(in)));
            }
            return new EnumeratorState(hasListed, shards);
        }
    }

    private interface Writing {
        void to(DataOutputStream out) throws IOException;
    }

    private static byte[] written(Writing writing) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        writing.to(new DataOutputStream(bytes));
        return bytes.toByteArray();
    }

    private static DataInputStream opened(int version, byte[] bytes) throws IOException {
        if (version != VERSION) {
            throw new IOException("state of version " + version + " cannot be read, only of " + VERSION);
        }
        return new DataInputStream(new ByteArrayInputStream(bytes));
    }

    private static void write(DataOutputStream out, Position position) throws IOException {
        out.writeUTF(position.kind().name());
        out.writeUTF(position.sequence());
        out.writeLong(position.number());
    }

    private static Position readPosition(DataInputStream in) throws IOException {
        return new Position(Position.Kind.valueOf(in.readUTF()), in.readUTF(), in.readLong());
    }
}
