# Apache Kafka: one process, broker and controller, from the jars that kafka/pom.xml names. Sourced by services.

: "${BAHI_KAFKA_PORT:=29092}" "${BAHI_KAFKA_CONTROLLER_PORT:=29093}"

kafka_variable() { echo BAHI_KAFKA_BROKERS; }
kafka_url() { echo "127.0.0.1:$BAHI_KAFKA_PORT"; }
kafka_ports() { printf '%s\n' "$BAHI_KAFKA_PORT" "$BAHI_KAFKA_CONTROLLER_PORT"; }
kafka_home() { echo "$root/kafka/data"; }
# Kafka hands over and closes its files cleanly.
kafka_signal() { echo TERM; }

kafka_prepare() {
    local dir=$root/kafka release classes
    need java openjdk-17-jre-headless
    release=$(java -version 2>&1 | sed -n 's/.* version "\([^"]*\)".*/\1/p' | head -n 1)
    if [[ ${release%%[!0-9]*} -lt 17 ]]; then fail "kafka needs Java 17 or later, and java is $release here"; fi
    kafka_jars "$dir"
    {
        cat "$here/kafka/server.properties"
        printf '\n# Of this machine.\n'
        printf '%s\n' "listeners=PLAINTEXT://127.0.0.1:$BAHI_KAFKA_PORT,CONTROLLER://127.0.0.1:$BAHI_KAFKA_CONTROLLER_PORT"
        printf '%s\n' "advertised.listeners=PLAINTEXT://127.0.0.1:$BAHI_KAFKA_PORT"
        printf '%s\n' "controller.quorum.bootstrap.servers=127.0.0.1:$BAHI_KAFKA_CONTROLLER_PORT"
        printf '%s\n' "log.dirs=$dir/data"
    } >"$dir/server.properties"

    # meta.properties is what formatting writes last; without it the folder is what an interrupted one left.
    if [ ! -e "$dir/data/meta.properties" ]; then
        rm -rf "$dir/data"
        logged kafka java -cp "$dir/lib/*" -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$here/kafka/log4j2.properties" \
            kafka.tools.StorageTool format --standalone --config "$dir/server.properties" \
            --cluster-id "$(head -c 16 /dev/urandom | base64 | tr '+/' 'xy' | head -c 22)"
    fi

    # What Java loads at a start, written down when a broker first ends in order, makes later starts almost twice as quick.
    classes=$dir/lib/classes-$release.jsa
    if [ -e "$classes" ]; then classes=-XX:SharedArchiveFile=$classes; else classes=-XX:ArchiveClassesAtExit=$classes; fi

    # Half a gigabyte is plenty for a broker whose records lie in the page cache; short pauses, since an order waits for it.
    kafka_command=(java -Xms512m -Xmx512m -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35
        -XX:+ExplicitGCInvokesConcurrent -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true
        "$classes" -Dlog4j2.configurationFile="$here/kafka/log4j2.properties"
        -cp "$dir/lib/*" kafka.Kafka "$dir/server.properties")
}

# Fetched once for a pom.xml, whose copy beside the jars says which one it was.
kafka_jars() {
    local dir=$1 pom=$here/kafka/pom.xml
    if cmp -s "$pom" "$dir/lib/pom.xml"; then return; fi
    need mvn maven
    say "fetching Kafka $(sed -n 's:.*<kafka.version>\(.*\)</.*:\1:p' "$pom") from Maven Central into $dir/lib"
    rm -rf "$dir/lib"
    logged kafka mvn --batch-mode --no-transfer-progress --file "$pom" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$dir/lib"
    cp "$pom" "$dir/lib/pom.xml"
}

# Asks for the metadata of no topic (request 3, version 4) and counts the brokers in the answer: a broker that is still
# catching up with its own log is not in it. Spoken by hand, since a tool on a JVM of its own would take seconds.
kafka_answers() {
    local brokers
    # shellcheck disable=SC2016 # the inner shell expands it
    brokers=$(timeout 2 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$0"
        printf "\0\0\0\023\0\003\0\004\0\0\0\001\0\004bahi\0\0\0\0\0" >&3
        head -c 16 <&3 | od -An -j 12 -t u1' "$BAHI_KAFKA_PORT" 2>/dev/null) || return 1
    [[ $brokers =~ [1-9] ]]
}
