// Package localkafka runs Apache Kafka and an Apicurio schema registry on
// this machine as plain Java processes: no Docker, no root, nothing installed
// beyond Java 17 and Maven. Tests, benchmarks and `make kafka` share it.
//
//	cluster, err := localkafka.Start(ctx, localkafka.Options{Registry: true})
//	…
//	defer cluster.Stop()
//	kgo.SeedBrokers(cluster.Brokers()...)
//
// Each cluster has a directory and ports of its own, so any number run side
// by side. The jars named in pom.xml are downloaded once into the user's cache
// directory. Nothing outlives the program that started a cluster, however it
// ends: a small shell process holds a pipe to it, and when the pipe closes it
// kills the Java processes and deletes their directory (reaper.go).
//
// The package imports only the standard library, for Unix systems.
package localkafka
