package flinkconf

// Classes of the exceptions that Flink and its libraries throw while configuration is read.
const (
	IllegalConfiguration = "org.apache.flink.configuration.IllegalConfigurationException"
	FlinkParse           = "org.apache.flink.runtime.entrypoint.FlinkParseException"
	MissingArgument      = "org.apache.commons.cli.MissingArgumentException"
)
