// The application that the test reads from, compiled beside it:
// javac --release 11 App.java
import java.lang.management.ManagementFactory;
import javax.management.ObjectName;

public class App {
	public interface SampleMBean {
		long getCount();
		double getRate();
		String getText();
		String getBroken();
		long getts();
	}

	public static class Sample implements SampleMBean {
		public long getCount() { return 9007199254740993L; }
		public double getRate() { return 0.25; }
		public String getText() { return "say \"hi\" <\u00e9>\n"; }
		public String getBroken() { throw new IllegalStateException("it is broken"); }
		public long getts() { return 7; }
	}

	public static void main(String[] args) throws Exception {
		ManagementFactory.getPlatformMBeanServer().registerMBean(new Sample(), new ObjectName("akupara:type=Sample,name=\"a b\""));
		while (System.in.read() >= 0) { }
	}
}
