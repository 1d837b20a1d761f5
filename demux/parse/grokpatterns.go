package parse

// grokPatterns are the patterns that people know by these names from Grok, written
// for RE2.
var grokPatterns = map[string]string{
	// What everything else is made of.
	"WORD": `\b\w+\b`, "NOTSPACE": `\S+`, "SPACE": `\s*`, "DATA": `.*?`, "GREEDYDATA": `.*`, "GREEDYMULTILINE": `(?s:.*)`,
	"INT": `[+-]?\d+`, "POSINT": `\b[1-9]\d*\b`, "NONNEGINT": `\b\d+\b`,
	"BASE10NUM": `[+-]?(?:\d+(?:\.\d+)?|\.\d+)`, "NUMBER": `%{BASE10NUM}`,
	"BASE16NUM": `[+-]?(?:0x)?[0-9A-Fa-f]+`, "BASE16FLOAT": `\b[+-]?(?:0x)?(?:[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?|\.[0-9A-Fa-f]+)\b`,
	"BOOLEAN":      `(?i:true|false)`,
	"QUOTEDSTRING": `(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|` + "`(?:[^`\\\\]|\\\\.)*`)", "QS": `%{QUOTEDSTRING}`,
	"UUID": `[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}`,
	"URN":  `urn:[0-9A-Za-z][0-9A-Za-z-]{0,31}:(?:%[0-9A-Fa-f]{2}|[0-9A-Za-z()+,.:=@;$_!*'/?#-])+`,

	// People, machines and networks.
	"USERNAME": `[a-zA-Z0-9._-]+`, "USER": `%{USERNAME}`,
	"EMAILLOCALPART": `[a-zA-Z0-9!#$%&'*+\-/=?^_{|}~]+(?:\.[a-zA-Z0-9!#$%&'*+\-/=?^_{|}~]+)*`,
	"EMAILADDRESS":   `%{EMAILLOCALPART}@%{HOSTNAME}`,
	"MAC":            `(?:%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC})`, "CISCOMAC": `(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}`,
	"WINDOWSMAC": `(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}`, "COMMONMAC": `(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}`,
	"IPV4": `\b(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\b`,
	"IPV6": `(?:(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{1,4}:){6}%{IPV4}|(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*)?::(?:(?:[0-9A-Fa-f]{1,4}:)*%{IPV4}|[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*)?)(?:%[0-9A-Za-z]+)?`,
	"IP":   `(?:%{IPV6}|%{IPV4})`, "HOSTNAME": `\b[0-9A-Za-z][0-9A-Za-z_-]*(?:\.[0-9A-Za-z][0-9A-Za-z_-]*)*\.?\b`,
	"HOST": `%{HOSTNAME}`, "IPORHOST": `(?:%{IP}|%{HOSTNAME})`, "HOSTPORT": `%{IPORHOST}:%{POSINT}`,

	// Files and addresses of the web.
	"PATH": `(?:%{UNIXPATH}|%{WINPATH})`, "UNIXPATH": `(?:/[\w%!$@:.,+~-]*)+`, "TTY": `/dev/(?:pts|tty(?:[pq])?)(?:\w+)?/?\d*`,
	"WINPATH":  `(?:[A-Za-z]+:|\\)(?:\\[^\\?*]*)+`,
	"URIPROTO": `[A-Za-z][A-Za-z0-9+.-]*`, "URIHOST": `%{IPORHOST}(?::%{POSINT})?`,
	"URIPATH": `(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%&_-]*)+`, "URIQUERY": `[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\[\]<>-]*`,
	"URIPARAM": `\?%{URIQUERY}`, "URIPATHPARAM": `%{URIPATH}(?:%{URIPARAM})?`,
	"URI": `%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?`,

	// Times.
	"MONTH":    `\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]un(?:e)?|[Jj]ul(?:y)?|[Aa]ug(?:ust)?|[Ss]ep(?:t(?:ember)?)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\b`,
	"MONTHNUM": `(?:0?[1-9]|1[0-2])`, "MONTHNUM2": `(?:0[1-9]|1[0-2])`, "MONTHDAY": `(?:0[1-9]|[12]\d|3[01]|[1-9])`,
	"DAY":  `(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)`,
	"YEAR": `\d\d(?:\d\d)?`, "HOUR": `(?:2[0-3]|[01]?\d)`, "MINUTE": `[0-5]\d`, "SECOND": `(?:[0-5]?\d|60)(?:[:.,]\d+)?`,
	"TIME":    `%{HOUR}:%{MINUTE}(?::%{SECOND})`,
	"DATE_US": `%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}`, "DATE_EU": `%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}`,
	"DATE": `(?:%{DATE_US}|%{DATE_EU})`, "DATESTAMP": `%{DATE}[- ]%{TIME}`,
	"ISO8601_TIMEZONE": `(?:Z|[+-]%{HOUR}(?::?%{MINUTE})?)`, "ISO8601_SECOND": `%{SECOND}`, "ISO8601_HOUR": `(?:2[0-4]|[01]\d)`,
	"TIMESTAMP_ISO8601": `%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ISO8601_TIMEZONE}?`,
	"TZ":                `(?:[APMCE][SD]T|UTC|GMT|CEST|CET|[A-Z]{3,4})`,
	"DATESTAMP_RFC822":  `%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}`, "DATESTAMP_RFC2822": `%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}`,
	"DATESTAMP_OTHER": `%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}`, "DATESTAMP_EVENTLOG": `%{YEAR}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}`,
	"HTTPDATE": `%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}`, "HTTPDERROR_DATE": `%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{YEAR}`,
	"SYSLOGTIMESTAMP": `%{MONTH} +%{MONTHDAY} %{TIME}`, "CATALINA_DATESTAMP": `(?:%{MONTH} %{MONTHDAY}, %{YEAR} %{HOUR}:%{MINUTE}:%{SECOND} (?:AM|PM)|%{MONTHDAY}-%{MONTH}-%{YEAR} %{TIME})`,
	"TOMCAT_DATESTAMP": `%{YEAR}-%{MONTHNUM}-%{MONTHDAY} %{HOUR}:?%{MINUTE}(?::?%{SECOND}) %{ISO8601_TIMEZONE}`,

	// Levels and Java.
	"LOGLEVEL":  `(?i:trace|debug|notice|information|info|warning|warn|errors?|err|critical|crit|fatal|severe|alert|emergency|emerg|fine|finer|finest|config|panic)`,
	"JAVACLASS": `(?:[a-zA-Z$_][a-zA-Z$_0-9]*\.)*[a-zA-Z$_][a-zA-Z$_0-9]*`, "JAVAFILE": `[a-zA-Z$_0-9. -]+`,
	"JAVAMETHOD": `(?:<init>|<clinit>|[a-zA-Z$_][a-zA-Z$_0-9]*)`, "JAVATHREAD": `[A-Z]{2}-Processor\d+`, "JAVALOGMESSAGE": `.*`,
	"JAVASTACKTRACEPART": `\s*at %{JAVACLASS:class}\.%{JAVAMETHOD:method}\(%{JAVAFILE:file}(?::%{INT:line})?\)`,

	// Syslog.
	"PROG": `[\x21-\x5a\x5c\x5e-\x7e]+`, "SYSLOGPROG": `%{PROG:program}(?:\[%{POSINT:pid}\])?`, "SYSLOGHOST": `%{IPORHOST}`,
	"SYSLOGFACILITY": `<%{NONNEGINT:facility}.%{NONNEGINT:priority}>`,
	"SYSLOGBASE":     `%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:logsource} %{SYSLOGPROG}:`,
	"SYSLOGBASE2":    `(?:%{SYSLOGTIMESTAMP:timestamp}|%{TIMESTAMP_ISO8601:timestamp}) (?:%{SYSLOGFACILITY} )?(?:%{SYSLOGHOST:logsource})(?: %{SYSLOGPROG}:|)`,
	"SYSLOGLINE":     `%{SYSLOGBASE2} *%{GREEDYDATA:message}`, "SYSLOGPAMSESSION": `%{SYSLOGBASE} %{WORD:pam_module}\(%{DATA:pam_caller}\): session %{WORD:pam_session_state} for user %{USERNAME:username}(?: by %{GREEDYDATA:pam_by})?`,
	"SYSLOG5424PRINTASCII": `[!-~]+`, "SYSLOG5424PRI": `<%{NONNEGINT:syslog5424_pri}>`, "SYSLOG5424SD": `(?:\[(?:[^\]\\]|\\.)*\])+`,
	"SYSLOG5424BASE": `%{SYSLOG5424PRI}%{NONNEGINT:syslog5424_ver} +(?:-|%{TIMESTAMP_ISO8601:timestamp}) +(?:-|%{IPORHOST:syslog5424_host}) +(?:-|%{SYSLOG5424PRINTASCII:syslog5424_app}) +(?:-|%{SYSLOG5424PRINTASCII:syslog5424_proc}) +(?:-|%{SYSLOG5424PRINTASCII:syslog5424_msgid}) +(?:%{SYSLOG5424SD:syslog5424_sd}|-|)`,
	"SYSLOG5424LINE": `%{SYSLOG5424BASE} *%{GREEDYDATA:message}`, "CRON_ACTION": `[A-Z ]+`,
	"CRONLOG": `%{SYSLOGBASE} \(%{USER:user}\) %{CRON_ACTION:action} \(%{DATA:message}\)`,

	// Web servers.
	"HTTPDUSER": `(?:%{EMAILADDRESS}|%{USER})`, "COMMONAPACHELOG": `%{HTTPD_COMMONLOG}`, "COMBINEDAPACHELOG": `%{HTTPD_COMBINEDLOG}`,
	"HTTPD_COMMONLOG":   `%{IPORHOST:clientip} (?:-|%{HTTPDUSER:ident}) (?:-|%{HTTPDUSER:auth}) \[%{HTTPDATE:timestamp}\] "(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion:string})?|-|%{DATA:rawrequest})" (?:%{NUMBER:response:int}|-) (?:%{NUMBER:bytes:int}|-)`,
	"HTTPD_COMBINEDLOG": `%{HTTPD_COMMONLOG} "(?:-|(?P<referrer>(?:[^"\\]|\\.)*))" "(?:-|(?P<agent>(?:[^"\\]|\\.)*))"`,
	"HTTPD20_ERRORLOG":  `\[%{HTTPDERROR_DATE:timestamp}\] \[%{LOGLEVEL:loglevel}\] (?:\[client %{IPORHOST:clientip}\] )?%{GREEDYDATA:message}`,
	"HTTPD24_ERRORLOG":  `\[%{HTTPDERROR_DATE:timestamp}\] \[(?:%{WORD:module})?:%{LOGLEVEL:loglevel}\] \[pid %{POSINT:pid}(?::tid %{NOTSPACE:tid})?\](?: \(%{POSINT:proxy_errorcode}\)%{DATA:proxy_message}:)?(?: \[client %{IPORHOST:clientip}(?::%{POSINT:clientport})?\])?(?: %{DATA:errorcode}:)? %{GREEDYDATA:message}`,
	"HTTPD_ERRORLOG":    `(?:%{HTTPD20_ERRORLOG}|%{HTTPD24_ERRORLOG})`,
	"TOMCATLOG":         `%{TOMCAT_DATESTAMP:timestamp} \| %{LOGLEVEL:level} \| %{JAVACLASS:class} - %{JAVALOGMESSAGE:message}`,
	"CATALINALOG":       `%{CATALINA_DATESTAMP:timestamp} %{JAVACLASS:class} %{JAVALOGMESSAGE:message}`,
	"NAGIOSTIME":        `\[%{NUMBER:timestamp}\]`,
	"REDISTIMESTAMP":    `%{MONTHDAY} %{MONTH} %{TIME}`,
	"REDISLOG":          `\[%{POSINT:pid}\] %{REDISTIMESTAMP:timestamp} \* `,
	"POSTGRESQL":        `%{TIMESTAMP_ISO8601:timestamp} %{TZ} %{DATA:user_id} %{GREEDYDATA:connection_id} %{POSINT:pid}`,
	"RUBY_LOGLEVEL":     `(?:DEBUG|FATAL|ERROR|WARN|INFO)`,
	"RUBY_LOGGER":       `[DFEWI], \[%{TIMESTAMP_ISO8601:timestamp} #%{POSINT:pid}\] *%{RUBY_LOGLEVEL:loglevel} -- +%{DATA:progname}: %{GREEDYDATA:message}`,
	"MONGO3_SEVERITY":   `\w`, "MONGO3_COMPONENT": `(?:\w+|-)`, "MONGO3_LOG": `%{TIMESTAMP_ISO8601:timestamp} %{MONGO3_SEVERITY:severity} %{MONGO3_COMPONENT:component} *(?:\[%{DATA:context}\])? %{GREEDYDATA:message}`,
}
