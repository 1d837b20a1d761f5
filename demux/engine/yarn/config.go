package yarn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/akupara/akupara/config"
)

// Config is the section "yarn" of the demux: where Hadoop is, and what tasks may
// take of it.
type Config struct {
	// Java runs Hadoop's clients, which submit work and end it.
	Java string `config:"java"`
	// Classpath is what Hadoop's clients need: the folder of its configuration, its
	// jars (DIR/* for all of a folder), hadoop-streaming among them.
	Classpath []string `config:"classpath"`
	// Queue of the scheduler; empty: its default.
	Queue string `config:"queue"`
	// Memory and Cores are of one task.
	Memory config.Size `config:"memory" min:"512MiB" max:"64GiB"`
	Cores  int         `config:"cores" min:"1" max:"64"`
	// MinBytes of raw log are worth a job, or four times as many of data files to be
	// merged: what has less is done in this process.
	MinBytes config.Size `config:"min_bytes"`
	// RunBytes and TaskBytes bound what one run takes from the sink files, and one
	// task, in bytes of raw log, or of data files to be merged.
	RunBytes  config.Size `config:"run_bytes" min:"1MiB" max:"64TiB"`
	TaskBytes config.Size `config:"task_bytes" min:"1MiB" max:"64GiB"`
	// Options are properties of MapReduce and YARN, as -D gives them.
	Options map[string]string `config:"options"`
}

// SetDefaults implements config.Defaulter.
func (c *Config) SetDefaults() {
	*c = Config{Java: "java", Memory: 1536 << 20, Cores: 1, MinBytes: 256 << 20, RunBytes: 1 << 40, TaskBytes: 512 << 20}
}

// ours are the properties that make the work what it is.
var ours = []string{
	"mapreduce.job.name", "mapreduce.job.tags", "mapreduce.job.reduces", "mapreduce.input.lineinputformat.linespermap",
	"stream.map.input.ignoreKey", "mapreduce.job.queuename", "mapreduce.map.memory.mb", "mapreduce.map.cpu.vcores",
}

// Problems returns what is wrong with the section, for an engine that is to run.
func (c *Config) Problems() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if len(c.Classpath) == 0 {
		add("classpath: it is missing; want the folder of Hadoop's configuration and its jars, hadoop-streaming among them: [/etc/hadoop/conf, /opt/hadoop/share/hadoop/common/*, …]")
	}
	for _, p := range c.Classpath {
		if p == "" || strings.ContainsAny(p, ":\n") {
			add("classpath: %q is not one folder, jar or DIR/*", p)
		}
	}
	if c.Java == "" {
		add("java: it is empty; want the name or path of a java command")
	}
	for name := range c.Options {
		switch {
		case slices.Contains(ours, name):
			add("options: %s is set by the demux itself; queue, memory and cores are keys of their own", name)
		case name == "" || strings.ContainsAny(name, "= \n"):
			add("options: %q is no property's name", name)
		}
	}
	slices.Sort(out)
	return out
}
